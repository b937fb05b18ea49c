//! A scripted Messages API: the real `claude` CLI talks to it and runs the
//! tools it asks for, so a script of replies drives a whole session without an
//! account.
//!
//! ```ignore
//! let api = Api::start(
//!     Script::new()
//!         .phase("planning").write("/tmp/plan.md", "1. do it").say("planned")
//!         .phase("testing").reply(Reply::error(529)).bash("cargo test").say("tested")
//!         .otherwise().say("nothing to do"),
//! );
//! user.uses_claude(&api);
//! …
//! assert_eq!(api.requests().len(), 3);
//! ```
//!
//! What the CLI sends and expects was measured with 2.1.329: only
//! `POST /v1/messages?beta=true` (older ones also `HEAD /`), answered by
//! server-sent events as the Messages API documents them. The path of a request
//! says which API it is for: Codex gets the same replies by the Responses API, Gemini CLI by the Gemini
//! API.

mod gemini;
mod reply;
mod request;
mod responses;
mod script;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use reply::Reply;
pub(crate) use request::Request;
pub(crate) use script::Script;

type Answer = Box<dyn FnMut(&Request) -> Reply + Send>;

/// A running server; it ends when this is dropped.
pub(crate) struct Api {
    address: SocketAddr,
    shared: Shared,
    subscription: bool,
    _stop: oneshot::Sender<()>,
}

type Shared = Arc<Mutex<Inner>>;

struct Inner {
    requests: Vec<Request>,
    answer: Answer,
    /// Makes message and tool ids unique.
    served: u64,
}

impl Api {
    /// Serves a script on a free port of 127.0.0.1.
    pub(crate) fn start(script: Script) -> Self {
        Self::start_with(script.into_answer())
    }

    /// Serves the answers of a function. Side requests of the CLI (titles and
    /// the like, see [`Request::is_side`]) do not reach it.
    pub(crate) fn start_with(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::listen(0, answer).expect("a free port on 127.0.0.1")
    }

    /// Serves these answers first and then has every phase done as it should be.
    pub(crate) fn obedient_after(first: Vec<Reply>) -> Self {
        let mut first = first.into_iter();
        let mut obedient = Script::obedient().into_answer();
        Self::start_with(move |request| first.next().unwrap_or_else(|| obedient(request)))
    }

    /// The same on a given port.
    pub(crate) fn listen(
        port: u16,
        answer: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared: Shared = Arc::new(Mutex::new(Inner {
            requests: Vec::new(),
            answer: Box::new(answer),
            served: 0,
        }));
        let (stop, stopped) = oneshot::channel();
        let app = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        std::thread::spawn(move || run(listener, app, stopped));
        Ok(Self { address, shared, subscription: false, _stop: stop })
    }

    /// Makes clients log in as a subscription does, by an OAuth token instead
    /// of an API key: only then does the CLI report usage limits.
    pub(crate) fn for_a_subscription(mut self) -> Self {
        self.subscription = true;
        self
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client's environment needs: address, credentials, no other
    /// traffic, two retries instead of ten (ten take three minutes).
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let credentials = if self.subscription {
            ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-lab")
        } else {
            ("ANTHROPIC_API_KEY", "sk-ant-lab")
        };
        vec![
            ("ANTHROPIC_BASE_URL", self.url()),
            (credentials.0, credentials.1.into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("CLAUDE_CODE_MAX_RETRIES", "2".into()),
        ]
    }

    /// What a user's `~/.codex/config.toml` needs: this server as its provider, and no more than
    /// one retry.
    pub(crate) fn codex_config(&self) -> String {
        format!(
            "model_provider = \"lab\"\n[model_providers.lab]\nname = \"lab\"\nbase_url = \"{}/v1\"\n\
             wire_api = \"responses\"\nenv_key = \"CODEX_API_KEY\"\nrequest_max_retries = 1\n\
             stream_max_retries = 1\n",
            self.url()
        )
    }

    /// Replaces the script from the next request on.
    pub(crate) fn now(&self, script: Script) {
        self.lock().answer = Box::new(script.into_answer());
    }

    /// The requests for the script, in the order they came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let all = self.all_requests();
        all.into_iter().filter(|r| r.is_message() && !r.is_side()).collect()
    }

    /// Every request, side requests and unknown paths too.
    pub(crate) fn all_requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.shared)
    }
}

/// A script that panicked has failed its test already.
fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn run(listener: TcpListener, app: Router, stopped: oneshot::Receiver<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        // Dropping the runtime ends streams that hang on purpose.
        tokio::select! {
            _ = axum::serve(listener, app) => {}
            _ = stopped => {}
        }
    });
}

async fn serve(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request::new(&method, &uri, &headers, &body);
    let (reply, id) = {
        let mut inner = lock(&shared);
        inner.requests.push(request.clone());
        inner.served += 1;
        let reply = match request.kind() {
            request::Kind::Message => (inner.answer)(&request),
            request::Kind::Side => side_reply(&request),
            request::Kind::CountTokens => {
                return axum::Json(json!({"input_tokens": 100})).into_response();
            }
            request::Kind::Greeting => return StatusCode::OK.into_response(),
            request::Kind::Unknown => return unknown(&request),
        };
        (reply, inner.served)
    };
    reply.into_response(&request, id)
}

/// The CLI asks for titles and summaries as JSON or as text; a JSON object
/// with a title serves as both.
fn side_reply(_request: &Request) -> Reply {
    Reply::say(r#"{"title":"Work in the lab","isNewTopic":false}"#)
}

fn unknown(request: &Request) -> Response {
    let message = format!("no {} {} here", request.method, request.path);
    let body: Value =
        json!({"type": "error", "error": {"type": "not_found_error", "message": message}});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
