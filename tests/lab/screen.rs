//! A real terminal: tmux keeps its screen, and presses keys.

use std::path::Path;

use super::secs;
use super::user::LabUser;

/// A terminal of its own.
pub(crate) struct Screen<'u> {
    user: &'u LabUser,
}

impl<'u> Screen<'u> {
    /// Opens a terminal of 100 by 30 and starts a command in it.
    pub(crate) fn open(user: &'u LabUser, folder: &Path, command: &str) -> Option<Self> {
        if user.sh("command -v tmux").output().code != 0 {
            super::skipped("tmux is missing");
            return None;
        }
        let screen = Self { user };
        screen.tmux(&format!("new-session -d -s top -x 100 -y 30 -c {} sh", folder.display()));
        screen.keys(&format!("'{command}' Enter"));
        Some(screen)
    }

    pub(crate) fn tmux(&self, arguments: &str) -> String {
        self.user.sh(&format!("tmux -L test {arguments}")).ok().stdout
    }

    /// Presses keys, in tmux's words.
    pub(crate) fn keys(&self, keys: &str) {
        self.tmux(&format!("send-keys -t top {keys}"));
    }

    /// What it shows now.
    pub(crate) fn text(&self) -> String {
        self.tmux("capture-pane -p -t top")
    }

    /// Waits until it shows this.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str) {
        let mut text = String::new();
        self.user.wait_until(&format!("the screen shows {what:?}"), secs(60), || {
            text = self.text();
            text.contains(what)
        });
    }
}
