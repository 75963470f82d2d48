//! What `travel` reads of an event, and which events it passes over.

use super::fields as list;
use crate::address::Aspect;
use crate::detect::Way;
use crate::rule::place::Fault;
use crate::rule::yaml::Entry;

/// An address of a cloud or of a pipeline's runner says where a machine stands, and nothing of a person.
const IGNORED: [&str; 2] = ["cloud", "ci"];

const SORTS: [(&str, Aspect); 4] =
    [("cloud", Aspect::Cloud), ("ci", Aspect::Pipeline), ("tor", Aspect::Tor), ("vpn", Aspect::Vpn)];

/// The fields that say where an event came from, and those that say that it does not count: with any value, or with this.
type Asked = (Vec<String>, Vec<(String, Option<String>)>);

/// # Errors
/// What its author can mend, and where.
pub(super) fn fields(entry: &Entry<'_>) -> Result<Asked, Fault> {
    let place = Way::PLACE.map(str::to_owned).to_vec();
    let Some(line) = entry.value.get("ignore") else {
        return Ok((place, IGNORED.into_iter().filter_map(ignored).collect()));
    };
    let names = list(entry, "ignore")?;
    let ignore = names.iter().map(|name| {
        ignored(name).ok_or_else(|| {
            let message =
                format!("`{name}` is nothing to `ignore`: it is cloud, ci, tor, vpn, or a network such as AS64500");
            Fault::error(message).at(line.value.place)
        })
    });
    Ok((place, ignore.collect::<Result<_, Fault>>()?))
}

fn ignored(name: &str) -> Option<(String, Option<String>)> {
    if let Some(number) = name.strip_prefix("AS").filter(|number| number.parse::<u32>().is_ok()) {
        return Some((Aspect::Network.name().to_owned(), Some(number.to_owned())));
    }
    let (_, aspect) = SORTS.iter().find(|(sort, _)| *sort == name)?;
    Some((aspect.name().to_owned(), None))
}
