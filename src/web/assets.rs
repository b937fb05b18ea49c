//! What pages need besides their text: the style, the script and the icons, all embedded.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::pages::Refusal;
use super::tokens::hex;

/// A file in the program.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset {
        name: "style.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("assets/style.css"),
    },
    Asset {
        name: "app.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/app.js"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", bytes: include_bytes!("assets/icon.svg") },
    Asset { name: "icon-192.png", kind: "image/png", bytes: include_bytes!("assets/icon-192.png") },
    Asset { name: "icon-512.png", kind: "image/png", bytes: include_bytes!("assets/icon-512.png") },
];

/// Differs between versions of the program whose assets differ.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = ring::digest::Context::new(&ring::digest::SHA256);
    ASSETS.iter().for_each(|asset| all.update(asset.bytes));
    hex(&all.finish().as_ref()[..6])
});

/// The address of an asset. It changes with its contents, so that browsers may keep them.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{name}?v={}", *VERSION)
}

pub(super) async fn serve(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [
                (CONTENT_TYPE, asset.kind),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.bytes).into_response()
        }
        None => Refusal::new(StatusCode::NOT_FOUND, "There is no such file").into_response(),
    }
}

/// The service worker, which shows messages while no page is open. Its address decides which pages
/// it is for: all.
pub(super) async fn service_worker() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, include_str!("assets/sw.js"))
}

/// Lets a browser install the pages as an app.
pub(super) async fn manifest() -> impl IntoResponse {
    let icon = |name: &str, sizes: &str, purpose: &str| {
        let kind = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.kind);
        json!({ "src": address(name), "sizes": sizes, "type": kind, "purpose": purpose })
    };
    let manifest = json!({
        "id": "/", "name": "samocode", "short_name": "samocode", "start_url": "/", "scope": "/",
        "description": "Sessions of coding agents, and what they need from you",
        "display": "standalone", "background_color": "#0f1318", "theme_color": "#0f1318",
        "icons": [
            icon("icon.svg", "any", "any"),
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any maskable"),
        ],
        "shortcuts": [{ "name": "New session", "url": "/new" }],
    });
    ([(CONTENT_TYPE, "application/manifest+json")], manifest.to_string())
}
