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

#[tokio::test]
async fn metrics_ask_for_the_token_too_unless_told_not_to() {
    let token = [("authorization", "Bearer sesame-sesame")];
    for (setting, open) in [("", 401), ("metrics_without_token: true", 200)] {
        let home = Home::new();
        home.configure(&format!("token: sesame-sesame\n{setting}"));
        let lapwing = home.start().await;
        assert_eq!(status(&lapwing, "/metrics", &[]).await, open, "{setting}");
        assert_eq!(status(&lapwing, "/metrics", &token).await, 200, "{setting}");
        assert_eq!(status(&lapwing, "/api/v1/status", &[]).await, 401, "{setting}");
        for path in ["/health", "/ready"] {
            assert_eq!(status(&lapwing, path, &[]).await, 200, "{path} is for those who only look whether it runs");
        }
    }
}
