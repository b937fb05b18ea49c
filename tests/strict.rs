//! Agents with a network of their own, at the level strict: whom the list names is reached, through
//! the proxy or at a port of this machine; nobody else is, by no protocol.

use crate::lab::{self, Api, LabUser, Script, secs};

/// Two web servers of the human's, whose ports are in the file `ports`.
const SERVERS: &str = r#"
import http.server, threading
class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from outside")
    def log_message(self, *args):
        pass
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says) for _ in range(2)]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open("ports.new", "w") as file:
    file.write(" ".join(str(server.server_address[1]) for server in servers))
import os, sys
os.rename("ports.new", "ports")
sys.stdin.read()
"#;

/// What the agent tries: a line each, with what came of it.
const TRIES: &str = r#"[ -e tried ] || /usr/bin/python3 - $(cat ~/asked/ports) >tried 2>&1 <<'TRIES'
import os, socket, sys, urllib.request
OPEN, CLOSED = map(int, sys.argv[1:])
def says(name, function):
    try:
        print(name, "got", function(), flush=True)
    except Exception as error:
        print(name, "held", error, flush=True)
def direct(host, port):
    socket.create_connection((host, port), timeout=20).close()
    return "through"
def get(url):
    return urllib.request.urlopen(url, timeout=60).read().decode()
def ask(line):
    proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
    with socket.create_connection((proxy[0], int(proxy[1])), timeout=60) as stream:
        stream.sendall(f"{line} HTTP/1.1\r\n\r\n".encode())
        return " ".join(stream.makefile().read().split())
def tunnel(peer):
    proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
    with socket.create_connection((proxy[0], int(proxy[1])), timeout=60) as stream:
        stream.sendall(f"CONNECT {peer} HTTP/1.1\r\n\r\n".encode())
        return stream.recv(4096).decode().splitlines()[0]
def own_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return direct(*server.getsockname())
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"x", ("9.9.9.9", 53))
says("port-that-is-named", lambda: get(f"http://127.0.0.1:{OPEN}/"))
says("port-that-is-named-by-proxy", lambda: ask(f"GET http://localhost:{OPEN}/"))
says("own-server", own_server)
says("port-that-is-not", lambda: direct("127.0.0.1", CLOSED))
says("port-that-is-not-by-proxy", lambda: ask(f"GET http://localhost:{CLOSED}/"))
says("address", lambda: direct("9.9.9.9", 443))
says("datagram", datagram)
says("name", lambda: socket.getaddrinfo("example.org", 443))
says("tunnel", lambda: tunnel("example.org:443"))
says("metadata", lambda: tunnel("169.254.169.254:443"))
says("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(b"x", ("9.9.9.9", 0)))
says("interfaces", lambda: [name for _, name in socket.if_nameindex()])
TRIES
"#;

/// Whether this user's agents can have a network of their own here. Elsewhere the level is refused.
fn can(user: &LabUser) -> bool {
    user.sh("unshare --user --map-root-user --mount --ipc --net true").output().code == 0
}

#[test]
fn a_strictly_confined_agent_reaches_whom_the_list_names_and_nobody_else() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("strict");
    if !can(&user) {
        let project = user.project("shop").key("SAMOCODE_CONFINE", "strict").create();
        assert_eq!(project.samocode(["run", "jwt", "--task", "t"]).output().code, 11);
        let why = project.samocode(["why", "jwt"]).ok().stdout;
        return assert!(why.contains("user namespaces"), "{why}");
    }
    user.sh("mkdir -p asked").ok();
    user.write("servers.py", SERVERS);
    let _servers = user.sh("cd asked && exec /usr/bin/python3 ../servers.py").stdin_open().spawn();
    user.wait_until("the servers listen", secs(20), || user.exists("asked/ports"));
    let ports = user.read("asked/ports");
    let (open, closed) = ports.split_once(' ').expect("two ports");
    let agent = user.obedient_agent(TRIES);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_CONFINE", "strict")
        .key("SAMOCODE_ALLOW_WRITE", "~/asked")
        .key("SAMOCODE_ALLOW_CONNECT", &format!("registries, localhost:{open}, 443"))
        .create();
    let ran = project.samocode(["run", "jwt", "--task", "t"]).output();
    let worktree = project.worktree("jwt").expect("a worktree");
    let tried = user.sh(&format!("cat '{}/tried'", worktree.display())).output().stdout;
    assert_eq!(ran.code, 10, "{ran}\n{tried}");
    let line = |name: &str| {
        let found = tried.lines().find(|line| line.split(' ').next() == Some(name));
        found.unwrap_or_else(|| panic!("{name} in {tried}")).to_owned()
    };
    for name in ["port-that-is-named", "port-that-is-named-by-proxy"] {
        assert!(line(name).ends_with("from outside"), "{tried}");
    }
    assert!(line("own-server").ends_with("got through"), "{tried}");
    assert!(line("port-that-is-not-by-proxy").contains("403"), "{tried}");
    for name in ["port-that-is-not", "address", "datagram", "name", "raw"] {
        assert!(line(name).starts_with(&format!("{name} held")), "{tried}");
    }
    // 443 lets any host of the internet through, which there may be none of here; that is no refusal.
    assert!(!line("tunnel").contains("403"), "{tried}");
    assert!(line("metadata").contains("403"), "{tried}");
    assert!(line("interfaces").ends_with("got ['lo']"), "{tried}");
    let kept_out = project.named("jwt").journal("kept_out").remove(0).to_string();
    let key =
        format!("SAMOCODE_ALLOW_CONNECT=registries, localhost:{open}, 443, localhost:{closed}");
    assert!(kept_out.contains(&key) && kept_out.contains("169.254.169.254:443"), "{kept_out}");
    let why = project.samocode(["why", "jwt"]).ok().stdout;
    assert!(why.contains(&format!("localhost:{closed}")), "{why}");
    let explain =
        |about: &str| project.samocode(["confine", "jwt", "--explain", about]).ok().stdout;
    assert!(explain("static.crates.io:443").contains("opened by SAMOCODE_ALLOW_CONNECT"));
    let closed_by = explain("example.org:8443");
    assert!(closed_by.contains("443, example.org:8443 opens it"), "{closed_by}");
    let inside = format!("curl -sS --max-time 60 http://127.0.0.1:{open}/");
    let inside = project.samocode(["confine", "jwt", "--", "sh", "-c", &inside]).ok().stdout;
    assert!(inside.contains("from outside"), "{inside}");
}

/// One run of an agent in a network of its own, which reaches the scripted server by its list.
fn works_in_a_network_of_its_own(cli: &str, uses: fn(&LabUser, &Api, &str)) {
    let Some(lab) = lab::with_cli(cli) else { return };
    let user = lab.user_without_manager(&format!("strict{cli}"));
    if !can(&user) {
        return;
    }
    let api = Api::start(Script::obedient());
    uses(&user, &api, "k");
    let port = api.url().rsplit_once(':').expect("a port").1.to_owned();
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", cli)
        .key("SAMOCODE_CONFINE", "strict")
        .key("SAMOCODE_ALLOW_CONNECT", &format!("registries, localhost:{port}"))
        .create();
    let ran = user.samocode(["run", "jwt", "--task", "t"]).cwd(&project.dir).within(secs(180));
    let ran = ran.output();
    assert_eq!(ran.code, 10, "{ran}\n{}", user.diagnosis());
    for run in project.named("jwt").journal("run_started") {
        let confined = run["confined"].as_str().unwrap_or_default();
        assert!(confined.starts_with("strict (Landlock "), "{run}");
    }
}

#[test]
fn the_real_codex_works_in_a_network_of_its_own() {
    works_in_a_network_of_its_own("codex", LabUser::uses_codex);
}

#[test]
fn the_real_gemini_works_in_a_network_of_its_own() {
    works_in_a_network_of_its_own("gemini", LabUser::uses_gemini);
}

#[test]
fn the_real_cli_works_in_a_network_of_its_own() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("strictcli");
    if !can(&user) {
        return;
    }
    let signal = r#"printf '{"status":"blocked","needs":"human_decision","summary":"Tried.","reason":"Tried."}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let tries = "ls /sys/class/net >/dev/null; cat /proc/net/dev | grep -c :; echo interfaces";
    let api = Api::start(Script::new().bash(tries).bash(signal).say("Tried.").forever());
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_CONFINE", "strict").create();
    let samocode = |words: &[&str]| user.samocode(words).cwd(&project.dir).within(secs(120));
    let ran = samocode(&["run", "jwt", "--task", "t"]).output();
    assert_eq!(ran.code, 11, "{ran}\n{}", user.diagnosis());
    let results: Vec<String> =
        api.requests().iter().flat_map(crate::lab::api::Request::tool_results).collect();
    assert!(results.join("\n").contains("1\ninterfaces"), "{results:?}");
    let shown = samocode(&["status", "jwt"]).ok().stdout;
    assert!(shown.contains("Confined") && shown.contains("strict (Landlock"), "{shown}");
}
