//! Who is let in at the one listener, and who is not.

mod harness;

use harness::{Home, Lapwing};
use reqwest::Client;

/// The status of a GET with these headers.
async fn status(lapwing: &Lapwing, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = Client::new().get(lapwing.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the service answers").status().as_u16()
}

#[tokio::test]
async fn without_a_token_a_name_made_to_point_here_reads_nothing() {
    let home = Home::new();
    home.configure("public_url: https://lapwing.example.org");
    let lapwing = home.start().await;
    for (host, expected) in
        [("127.0.0.1:8686", 200), ("localhost", 200), ("lapwing.example.org", 200), ("evil.example:8686", 403)]
    {
        for path in ["/api/v1/alerts", "/api/v1/status", "/api/v1/alerts/stream"] {
            assert_eq!(status(&lapwing, path, &[("host", host)]).await, expected, "{path} at {host}");
        }
    }
    assert_eq!(status(&lapwing, "/health", &[("host", "evil.example")]).await, 200);
}
