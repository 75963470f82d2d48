//! What a test says to the web server, and what it hears.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{Lapwing, until};

/// An answer as a whole.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    /// Sends the request and reads the answer to its end.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("the service answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, body: answer.text().await.expect("an answer has a body") }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are text"))
    }
}

impl Lapwing {
    /// `GET`, whatever the answer is.
    pub(crate) async fn hear(&self, path: &str) -> Heard {
        Heard::of(self.client().get(self.url(path))).await
    }

    /// `POST /v1/events/{source}`.
    pub(crate) async fn push<B: Into<Vec<u8>>>(&self, source: &str, body: B) -> Heard {
        Heard::of(self.client().post(self.url(&format!("/v1/events/{source}"))).body(body.into())).await
    }

    /// The value of one series of `/metrics`, named with its labels; zero if it is absent.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.hear("/metrics").await.body;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until this many alerts stand.
    pub(crate) async fn has_alerts(&self, number: usize) {
        until(&format!("{number} alerts"), async || (self.rows().await.len() >= number).then_some(())).await;
    }
}

/// A CloudTrail record that raises one alert, always of the severity high. Those of one user stay in order.
pub(crate) fn stopped(id: &str, user: &str) -> String {
    let record = json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": "2026-11-20T09:14:03Z",
        "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging",
        "userIdentity": {
            "type": "IAMUser", "userName": user, "arn": format!("arn:aws:iam::111122223333:user/{user}"),
            "accountId": "111122223333",
        },
        "sourceIPAddress": "198.51.100.24", "requestParameters": {"name": "org-trail"}, "readOnly": false,
    });
    record.to_string()
}

/// A record of the GitHub audit log that raises one alert, always of the severity low.
pub(crate) fn github(id: &str) -> String {
    let record = json!({
        "_document_id": id, "created_at": 1_795_166_043_000_u64, "action": "hook.create", "actor": "ana",
        "org": "example-org", "repo": "example-org/orders", "config": {"url": "https://hooks.example.com/x"},
    });
    record.to_string()
}
