//! Alerts as JSON lines on standard output, for `| jq` and for log collectors.

use std::io::Write;

use serde::Deserialize;

use super::webhook::body;
use super::{Answer, Message, Reply};
use crate::retry::unanswered;

/// `sink.stdout`: one line an alert, the same JSON that a webhook receives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// Prints alerts.
#[derive(Clone, Debug, Default)]
pub struct Stdout;

impl Stdout {
    /// From its settings.
    #[must_use]
    pub fn new(_: &Settings) -> Self {
        Self
    }

    /// Writes on a thread that may block: whoever reads the pipe sets the pace, and waiting for it is not an
    /// error. The standard library's own lock keeps lines of several sinks apart.
    pub(super) async fn send(&self, message: &Message) -> Answer {
        let line = line(message);
        let written = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(&line).and_then(|()| out.flush())
        });
        match written.await {
            Ok(Ok(())) => Answer::Delivered(Reply::default()),
            Ok(Err(error)) => unanswered(format!("write to standard output: {error}")),
            Err(error) => unanswered(format!("write to standard output: {error}")),
        }
    }
}

/// One line, with its end.
fn line(message: &Message) -> Vec<u8> {
    let mut line = body(message);
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    #[test]
    fn a_message_is_one_line_of_json_whatever_stands_in_it() {
        let mut message = sample::message();
        message.alert.why = "two\nlines".to_owned();
        message.text = serde_json::to_string(&message.alert).unwrap();
        let line = String::from_utf8(line(&message)).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["type"], "alert.raised");
        assert_eq!(read["revision"], 1);
        assert_eq!(read["data"]["why"], "two\nlines");
    }
}
