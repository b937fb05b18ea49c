//! `install.sh`, with a program that is built already: the build itself is the release's.

use std::os::unix::fs::MetadataExt as _;

use crate::lab::{self, LabCommand, LabUser, System};

fn install(user: &LabUser, args: &[&str]) -> LabCommand {
    let command = user.run(["/repo/install.sh"]);
    args.iter().fold(command, |command, arg| command.arg(*arg))
}

/// How long an archive or a package may take: a debug build has 150 MB to compress, beside other tests.
const PACKING: std::time::Duration = std::time::Duration::from_secs(900);

const BUILT: &[&str] = &["--binary", "/opt/samocode/bin/samocode"];

fn files(user: &LabUser, folder: &str) -> String {
    user.sh(&format!("find {folder} -type f -o -type l | sort")).output().stdout
}

#[test]
fn an_installed_samocode_works_and_can_be_removed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("sets-up");
    user.write("x/bin/neighbour", "");

    let out = install(&user, &[BUILT, &["--prefix", "x"]].concat()).ok();
    let version = user.run(["x/bin/samocode", "--version"]).ok();
    assert!(out.stdout.contains(version.stdout.trim()), "{out}");
    assert!(out.stdout.contains("x/bin is not on PATH"), "{out}");
    assert!(files(&user, "x").contains("x/share/doc/samocode/LICENSE"));
    assert!(files(&user, "x").contains("x/share/man/man1/samocode-enable.1"));
    if lab::is_installed("claude") || user.sh("command -v claude").output().code == 0 {
        assert!(out.stdout.contains("claude plugin marketplace add /repo"), "{out}");
    }

    install(&user, &["--uninstall", "--prefix", "x"]).ok();
    assert_eq!(files(&user, "x"), "x/bin/neighbour\n");
    let again = install(&user, &["--uninstall", "--prefix", "x"]).ok();
    assert!(again.stdout.contains("samocode is not installed"), "{again}");
}

#[test]
fn the_plugin_is_installed_on_request_and_what_is_the_users_is_named_and_stays() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("plugged");
    // As the predecessor left them: a link to a checkout that may be gone.
    user.sh("mkdir -p .claude/commands .claude/skills && ln -s /gone .claude/skills/planning").ok();
    user.write(".claude/commands/dive.md", "Mine.\n");
    user.write(".claude/commands/other.md", "Mine too.\n");

    let out = install(&user, &[BUILT, &["--plugin"]].concat()).within(lab::secs(120)).ok();
    assert!(out.stdout.contains("left alone: skills/planning commands/dive.md;"), "{out}");
    assert!(out.stdout.contains("installed the plugin"), "{out}");
    assert_eq!(user.read(".claude/commands/dive.md"), "Mine.\n");
    let details = user.run(["claude", "plugin", "details", "samocode"]).ok();
    assert!(details.stdout.contains("samocode-run"), "{details}");
    // Again is an update.
    install(&user, &[BUILT, &["--plugin"]].concat()).within(lab::secs(120)).ok();

    let removal =
        "claude plugin uninstall samocode@samocode && claude plugin marketplace remove samocode";
    let out = install(&user, &["--uninstall"]).ok();
    assert!(out.stdout.contains(removal), "{out}");
    user.sh(removal).within(lab::secs(120)).ok();
    let out = install(&user, &["--uninstall"]).ok();
    assert!(!out.stdout.contains("the plugin for Claude Code"), "{out}");
}

#[test]
fn a_release_archive_is_installed_where_there_is_no_rust() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("released");
    let script = "mkdir new && cp /repo/install.sh new && /repo/release.sh --binary /opt/samocode/bin/samocode --into new";
    let out = user.sh(script).within(PACKING).ok();
    let archive = out.stdout.trim().rsplit('/').next().unwrap().to_owned();
    assert!(archive.starts_with("samocode-") && archive.ends_with("-linux.tar.gz"), "{out}");
    // Without --binary, and with nothing that could build.
    let install =
        |command: &str| user.sh(command).env("PATH", "/usr/bin:/bin").env("CARGO_HOME", "/nowhere");
    let out = install("new/install.sh --prefix x").ok();
    assert!(out.stdout.contains("installing from"), "{out}");
    assert!(user.run(["x/bin/samocode", "--version"]).ok().stdout.starts_with("samocode "));

    // Unpacked, it installs itself.
    let out = install("tar -xzf new/*.tar.gz && samocode-*/install.sh --prefix y").ok();
    assert!(out.stdout.contains("is installed in"), "{out}");
    assert!(files(&user, "y").contains("y/share/man/man1/samocode-enable.1"));
    assert!(files(&user, "y").contains("y/share/doc/samocode/LICENSE"));

    // Damaged on the way, it is refused.
    let out = install("echo x >>new/*.tar.gz; new/install.sh --prefix z").output();
    assert!(out.code != 0 && out.stderr.contains("download it again"), "{out}");
    assert!(!user.exists("z/bin/samocode"));
}

#[test]
fn the_debian_package_is_installed_used_and_removed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("packaged");
    let script = "/repo/release.sh --deb --binary /opt/samocode/bin/samocode --into packages";
    user.sh(script).within(PACKING).ok();
    let package = user.sh("readlink -f packages/*.deb").ok().stdout.trim().to_owned();
    let fields = user.run(["dpkg-deb", "--field", &package]).ok().stdout;
    for field in ["Package: samocode", "Version: ", "Depends: libc6 (>= 2.", "git"] {
        assert!(fields.contains(field), "{field}: {fields}");
    }
    // Into a root of its own: another test expects to find no samocode in /usr.
    let root = user.home.join("root").display().to_string();
    user.run(["dpkg-deb", "--extract", &package, &root]).ok();
    let has = |file: &str| assert!(user.exists(format!("{root}/{file}")), "{file}");
    for page in ["samocode.1.gz", "samocode-attach.1.gz"] {
        has(&format!("usr/share/man/man1/{page}"));
    }
    has("usr/share/bash-completion/completions/samocode");
    has("usr/share/zsh/vendor-completions/_samocode");
    has("usr/share/fish/vendor_completions.d/samocode.fish");
    has("usr/share/doc/samocode/copyright");
    has("usr/lib/systemd/catalog/samocode.catalog");
    let version = user.run([format!("{root}/usr/bin/samocode"), "--version".to_owned()]).ok();
    assert!(fields.contains(version.stdout.trim().split(' ').nth(1).unwrap()), "{version}");

    // By dpkg itself, with a database of its own; its dependencies are this machine's.
    let dpkg = |args: &str| {
        let admin = "mkdir -p inst/var/lib/dpkg/updates inst/var/lib/dpkg/info && touch inst/var/lib/dpkg/status";
        let home = user.home.display();
        lab.root_sh(&format!(
            "cd {home} && {admin} && dpkg --root={home}/inst --force-depends --force-script-chrootless --log=/dev/null {args}"
        ))
    };
    dpkg(&format!("--install {package}")).ok();
    assert!(user.exists("inst/usr/bin/samocode"));
    assert!(dpkg("--status samocode").ok().stdout.contains("install ok installed"));
    dpkg("--remove samocode").ok();
    assert!(!user.exists("inst/usr/bin/samocode") && !user.exists("inst/usr/share/doc/samocode"));
}

#[test]
fn installing_again_changes_nothing_until_there_is_something_new() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("updates");
    // The default prefix of a user is ~/.local.
    install(&user, BUILT).ok();
    let program = user.host_path(".local/bin/samocode");
    let before = std::fs::metadata(&program).unwrap();

    let out = install(&user, BUILT).ok();
    assert!(!out.stdout.contains("install.sh: installed "), "{out}");
    assert_eq!(std::fs::metadata(&program).unwrap().ino(), before.ino());

    user.write_program("newer", "#!/bin/sh\n[ \"$1\" = --version ] && echo samocode 99\n");
    let out = install(&user, &["--binary", "newer"]).ok();
    assert!(out.stdout.contains("samocode 99") && out.stdout.contains("samocode reload"), "{out}");
    // By a rename: a worker that runs keeps the file it was started from.
    assert_ne!(std::fs::metadata(&program).unwrap().ino(), before.ino());
    assert_eq!(std::fs::metadata(&program).unwrap().mode() & 0o777, 0o755);
    assert_eq!(user.sh("ls .local/bin").ok().stdout, "samocode\n");
}

#[test]
fn install_with_demo_ends_with_a_finished_session_and_uninstall_names_its_units() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("newcomer");

    let out = install(&user, &[BUILT, &["--demo"]].concat()).ok();
    assert!(out.stdout.contains("samocode@demo.service"), "{out}");
    assert!(out.stdout.contains("✓ The session is done"), "{out}");

    let out = install(&user, &["--uninstall"]).ok();
    let mut commands =
        out.stdout.lines().filter_map(|line| line.strip_prefix("  ")).filter(|l| l.contains(' '));
    assert!(out.stdout.contains("  samocode-wake.path\n"), "{out}");
    // The commands it prints work. Those for the system's units, which other tests may have here now,
    // are for root.
    let own =
        commands.by_ref().filter(|line| !line.contains("/etc/") && !line.contains("--system"));
    let script = own.collect::<Vec<_>>().join(" && ");
    user.sh(&script).ok();
    assert_eq!(user.sh("find .config/systemd -name 'samocode*'").ok().stdout, "");
    assert_eq!(
        user.systemctl(["list-units", "--plain", "--no-legend", "samocode*"]).ok().stdout,
        ""
    );
    assert!(user.exists(".cache/samocode/demo/shop"), "sessions stay");
    let cache = user.home.join(".cache/samocode");
    assert!(out.stdout.contains(&format!("\n  {}\n", cache.display())), "{out}");
}

#[test]
fn an_install_by_root_explains_a_users_messages_in_the_journal() {
    for system in [System::Ours, System::Debian13] {
        let Some(lab) = lab::on(system) else { continue };
        let user = lab.user("explained");
        let explained = |args: &[&str]| {
            lab.root(["journalctl", "--sync"]).ok();
            user.journalctl(["-u", "samocode@demo"].iter().chain(args)).ok()
        };
        let has_catalog =
            "ls /usr/lib/systemd/catalog /usr/local/lib/systemd/catalog | grep samocode";

        // For a user it can only name what root has to do.
        let out = install(&user, BUILT).ok();
        let note = out.stdout.lines().find_map(|line| line.split_once("as root: "));
        let (_, by_hand) = note.unwrap_or_else(|| panic!("{out}"));
        assert_ne!(lab.root_sh(has_catalog).output().code, 0);

        user.samocode(["demo"]).ok();
        assert!(!explained(&["-x"]).stdout.contains("Subject: A worker started"));

        let setup = |args: &[&str]| lab.root(["/repo/install.sh"].iter().chain(args)).ok();
        // Not into /usr/local, where another test expects to find nothing.
        let out = setup(&[BUILT, &["--prefix", "/usr"]].concat());
        assert!(!out.stdout.contains("as root: "), "{out}");
        let text = explained(&["-x"]).stdout;
        for line in [
            "Subject: A worker started",
            "Defined-By: samocode",
            "    samocode logs demo -f\n",
            "samocode answer demo  ",
            "systemctl --user status samocode@demo\n",
        ] {
            assert!(text.contains(line), "{line:?}\n{text}");
        }
        assert!(!text.contains("@SAMOCODE_"), "an unfilled field\n{text}");
        assert!(!explained(&[]).stdout.contains("Subject: "), "without -x");
        // Now a user needs no hint, only the note that it stays installed.
        let out = install(&user, BUILT).ok();
        assert!(!out.stdout.contains("as root: "), "{out}");
        let out = install(&user, &["--uninstall"]).ok();
        assert!(out.stdout.contains("samocode.catalog was left"), "{out}");

        let out = setup(&["--uninstall", "--prefix", "/usr"]);
        assert!(out.stdout.contains("samocode.catalog\n"), "{out}");
        assert_ne!(lab.root_sh(has_catalog).output().code, 0);
        assert!(!explained(&["-x"]).stdout.contains("Defined-By: samocode"));

        // The command given to the user works too.
        lab.root_sh(by_hand).ok();
        assert!(explained(&["-x"]).stdout.contains("Defined-By: samocode"));
        setup(&["--uninstall"]);
    }
}

#[test]
fn an_install_that_cannot_work_fails_with_one_line() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("fails");
    for (args, code, message) in [
        (&["--frobnicate"][..], 2, "unknown option '--frobnicate'"),
        (&["--prefix"], 1, "--prefix needs a path"),
        (&["--binary", "/nowhere/samocode"], 1, "is not an executable file"),
        (&["--binary", "/opt/samocode/bin/samocode", "--prefix", "/usr/local"], 1, "cannot write"),
    ] {
        let out = install(&user, args).output();
        assert_eq!(out.code, code, "{out}");
        assert_eq!(out.stderr.lines().count(), 1, "{out}");
        assert!(out.stderr.contains(message), "{out}");
    }
    // The machine may have a cargo for all users.
    user.sh("mkdir tools && ln -s /usr/bin/* tools && rm -f tools/cargo").ok();
    let tools = user.home.join("tools").display().to_string();
    let build = || install(&user, &[]).env("PATH", &tools).output();
    let out = build();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stderr.contains("Rust is missing") && out.stderr.contains("rustup.rs"), "{out}");
    // One that is not on PATH is found, and is no good if it is too old.
    user.write_program(".cargo/bin/cargo", "#!/bin/sh\necho cargo 1.63.0\n");
    let out = build();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stderr.contains("is 1.63.0; samocode needs 1."), "{out}");
    // A compiler that does not compile is no compiler, and this user cannot install one.
    user.write_program(".cargo/bin/cargo", "#!/bin/sh\necho cargo 1.99.0\n");
    user.sh("rm -f tools/cc tools/sudo").ok();
    let out = build();
    assert_eq!(out.code, 1, "{out}");
    assert_eq!(out.stderr.lines().count(), 1, "{out}");
    assert!(out.stderr.contains("su -c 'apt-get install gcc libc6-dev'"), "{out}");
    assert!(!user.exists(".local"));
    let help = install(&user, &["--help"]).ok();
    assert!(help.stdout.contains("--uninstall"), "{help}");
}

/// What of macOS's tools the script may use, here as BusyBox has them: without GNU's options.
const TOOLS: &str = "sed grep awk sort head tail cut cp mv rm mkdir mktemp dirname basename readlink cmp \
    tar tr cat chmod id env ls rmdir";

#[test]
fn it_needs_no_tool_and_no_option_that_macos_lacks() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("apple");
    if user.sh("command -v busybox").output().code != 0 {
        lab::skipped("busybox is not installed");
        return;
    }
    let link = format!(
        "mkdir -p tools && for tool in {TOOLS}; do ln -s $(command -v busybox) tools/$tool; done
         ln -s $(command -v git) $(command -v cksum) tools/"
    );
    user.sh(&link).ok();
    user.write_program("tools/uname", "#!/bin/sh\n[ \"$1\" = -m ] && echo arm64 || echo Darwin\n");
    user.write("Library/LaunchAgents/dev.samocode.wake.plist", "");
    let tools = user.home.join("tools").display().to_string();
    let run = |args: &[&str]| {
        let words = ["/bin/bash", "/repo/install.sh"];
        user.run(words.iter().chain(args)).env("PATH", &tools).ok()
    };

    let out = run(&[BUILT, &["--prefix", "x"]].concat());
    assert_eq!(out.stderr, "", "{out}");
    assert!(files(&user, "x").contains("x/share/man/man1/samocode-enable.1"));
    let out = run(&["--uninstall", "--prefix", "x"]);
    assert_eq!(out.stderr, "", "{out}");
    assert!(out.stdout.contains("launchctl bootout"), "{out}");
    assert_eq!(files(&user, "x"), "");

    // It is read by bash 3.2 there.
    let script =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh")).unwrap();
    for newer in ["mapfile", "readarray", "declare -A", "local -n", "&>>", "|&", ",,}", "^^}"] {
        assert!(!script.contains(newer), "bash 3.2 has no {newer}");
    }
}
