//! What Google Cloud's audit log tells: services of Cloud Run, functions, builds, releases of Cloud Deploy and clusters.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::caller::{Caller, google};
use super::fact::{Change, Part, Run, RunKey, Says, System, Target, pinned};
use super::text::is_commit;
use crate::event::{ActorSort, Event, Outcome};
use crate::normalise::{facets, lead};

/// Endings of methods by service, and what of a thing they change.
const METHODS: [(&str, &str, Part, &[&str]); 7] = [
    (
        "run",
        "run",
        Part::Code,
        &[
            "Services.CreateService",
            "Services.ReplaceService",
            "Services.UpdateService",
            "Services.DeleteService",
            "Jobs.CreateJob",
            "Jobs.UpdateJob",
            "Jobs.ReplaceJob",
        ],
    ),
    ("run", "run", Part::Access, &["Services.SetIamPolicy"]),
    ("cloudfunctions", "cloudfunctions", Part::Code, &["CreateFunction", "UpdateFunction", "DeleteFunction"]),
    ("cloudfunctions", "cloudfunctions", Part::Access, &["SetIamPolicy"]),
    ("clouddeploy", "clouddeploy", Part::Release, &["CreateRelease", "CreateRollout"]),
    ("appengine", "appengine", Part::Code, &["Versions.CreateVersion", "Services.UpdateService"]),
    ("artifactregistry", "artifactregistry", Part::Artifact, &["Docker-PutManifest", "PutManifest"]),
];

/// What one entry says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let shared = facets(event);
    let said = |path: &str| lead::text(&event.raw, path);
    // Of an operation that takes long the first entry has the request, and the last one only that it ended.
    let goes_on =
        super::caller::is_true(&event.raw, "operation.last") && !super::caller::is_true(&event.raw, "operation.first");
    if shared.outcome != Outcome::Success || goes_on {
        return Vec::new();
    }
    let service = shared.target.kind.clone().unwrap_or_default();
    let project = shared.target.account.clone().unwrap_or_default();
    if service == "cloudbuild" && shared.action.ends_with("CreateBuild") {
        return build(event, &project).map(Says::Run).into_iter().collect();
    }
    let is = |names: &[&str]| names.iter().any(|name| shared.action.ends_with(name));
    let Some((_, kind, part, _)) = METHODS.iter().find(|(of, _, _, names)| *of == service && is(names)) else {
        return Vec::new();
    };
    let by = google(event);
    if is_agent(&by) {
        return Vec::new();
    }
    let resource = said("protoPayload.resourceName").unwrap_or_default();
    vec![Says::Change(Change {
        target: Target {
            kind: (*kind).to_owned(),
            id: resource.rsplit('/').next().unwrap_or(&resource).to_owned(),
            account: project,
            region: shared.target.region.unwrap_or_default(),
        },
        part: *part,
        action: shared.action,
        digests: digests(&event.raw),
        role: None,
        message: String::new(),
        by,
    })]
}

/// Google's own agents carry out what somebody else asked for.
fn is_agent(by: &Caller) -> bool {
    by.sort == ActorSort::Service
}

fn build(event: &Event, project: &str) -> Option<Run> {
    let said = |path: &str| lead::text(&event.raw, &format!("protoPayload.{path}"));
    let id =
        said("metadata.build.id").or_else(|| said("response.metadata.build.id")).or_else(|| said("response.id"))?;
    let place = ["request.build", "metadata.build"];
    let of_build = |name: &str| place.iter().find_map(|place| said(&format!("{place}.{name}")));
    let by = google(event);
    Some(Run {
        key: RunKey { system: System::Cloudbuild, scope: project.to_owned(), id, attempt: 1 },
        started: event.time,
        ended: None,
        conclusion: None,
        commit: of_build("substitutions.COMMIT_SHA")
            .or_else(|| of_build("source.repoSource.commitSha"))
            .filter(|commit| is_commit(commit)),
        branch: of_build("substitutions.BRANCH_NAME").or_else(|| of_build("source.repoSource.branchName")),
        cause: of_build("buildTriggerId").map(|_| "trigger".to_owned()),
        actor: Some(by.name).filter(|name| !name.is_empty()),
        workflow: of_build("buildTriggerId"),
        reused: Vec::new(),
        fork: None,
        digests: Vec::new(),
    })
}

fn digests(entry: &Value) -> Vec<String> {
    let request = lead::value(entry, "protoPayload.request");
    // `service.spec.template.spec.containers` of version 1, `service.template.containers` of version 2.
    let templates = [
        ["service", "spec", "template", "spec"].as_slice(),
        ["spec", "template", "spec"].as_slice(),
        ["service", "template"].as_slice(),
    ];
    let lists = templates.into_iter().filter_map(|path| {
        let holder = path.iter().try_fold(request?, |value, name| value.get(*name))?;
        holder.get("containers")?.as_array()
    });
    let mut found: Vec<String> = lists.flatten().filter_map(|one| pinned(one.get("image")?.as_str()?)).collect();
    found.sort();
    found.dedup();
    found
}
