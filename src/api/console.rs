//! The console, from inside the binary.

use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

/// What `make console` built; empty if nobody did, so that `cargo build` needs no Node.
#[derive(RustEmbed)]
#[folder = "console/dist/"]
#[allow_missing = true]
struct Built;

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Lapwing</title>\
    <h1>Lapwing runs</h1><p>This build has no console. With Node installed, run <code>make console</code> and \
    build again. The API is at <a href=/api/v1/alerts>/api/v1/alerts</a>.";

/// A file of the console, or its first page for `/`.
pub(super) async fn page(uri: Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    if let Some(file) = Built::get(path) {
        // Names of assets hold a hash of their content; the first page does not.
        let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        let sort = sort(path);
        return ([(header::CONTENT_TYPE, sort), (header::CACHE_CONTROL, cache)], file.data).into_response();
    }
    if path == "index.html" {
        return Html(NOT_BUILT).into_response();
    }
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

fn sort(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some(_) | None => "application/octet-stream",
    }
}
