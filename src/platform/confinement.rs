//! What a cage for a process lets it reach, in terms that every operating system understands. The
//! cage itself is in each system's folder: `cage::support()` and `cage::Cage`.

use std::path::PathBuf;

/// What may be done with a file, or with everything below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read, list and execute.
    Read,
    /// Read and write what exists, as one does with a device.
    Device,
    /// Everything, except making devices.
    Write,
}

/// One path and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A file or a folder; one that does not exist grants nothing.
    pub path: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

/// The UNIX sockets a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sockets {
    /// None, besides pairs of its own.
    #[default]
    None,
    /// All that the file system's permissions allow.
    Any,
}

/// Everything a process in a cage may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Files and folders; all others are closed.
    pub paths: Vec<Rule>,
    /// The folder it starts in.
    pub work: PathBuf,
    /// Files and folders that may only be read, though they are below one that may be written. Only
    /// a view holds that.
    pub kept: Vec<PathBuf>,
    /// UNIX sockets.
    pub sockets: Sockets,
    /// The network.
    pub network: Network,
}

/// The network of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// The host's.
    #[default]
    Host,
    /// One of its own, in which nothing is but itself. At these ports of its loopback interface
    /// somebody outside accepts connections.
    Own(Vec<u16>),
}

/// What the host cannot restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Files and folders.
    Files,
    /// System calls.
    Calls,
    /// Signals to processes outside.
    Signals,
    /// The network.
    Network,
    /// A view of its own, in which other programs' sockets, files and terminals are not there.
    View,
}

impl Lack {
    /// What is missing and what brings it, as one sentence without a full stop.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Files if cfg!(target_os = "macos") => {
                "access to files cannot be restricted: /usr/bin/sandbox-exec is missing"
            }
            Self::Files => {
                "access to files cannot be restricted: this kernel has no Landlock; use Linux 5.13 or later, and \
                 add landlock to the kernel's command line: lsm=landlock,yama,apparmor,bpf"
            }
            Self::Calls => {
                "system calls cannot be restricted: this kernel has no seccomp filters; use a kernel \
                 with CONFIG_SECCOMP_FILTER=y"
            }
            Self::Signals => {
                "signals to your other processes are not blocked: that needs Linux 6.12 or later"
            }
            Self::View => {
                "all UNIX sockets are refused, and names, sizes and modes of your files can be seen: \
                 that needs a host that lets programs make user namespaces and a user other than root, or Linux 7.1 or later"
            }
            Self::Network => {
                "connections cannot be restricted: that needs a host that lets programs make user namespaces, \
                 and a user other than root"
            }
        }
    }
}

/// What the host can restrict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// The means it has for that, as in `Landlock 7, seccomp`.
    pub by: String,
    /// What it cannot restrict.
    pub lacks: Vec<Lack>,
}

/// Why a cage could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {why}")]
pub struct CageError {
    /// What was attempted.
    pub doing: String,
    /// The system's words.
    pub why: String,
}
