//! A worker that is started before it is known what it works on. Its start takes about as long as
//! `samocode run` takes to find that out, and two processors do both at once.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// What a standby works on, as it gets it on its standard input: three fields, each ended by a
/// zero byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// The session's instance.
    pub instance: String,
    /// The project file.
    pub config: PathBuf,
    /// The session's folder.
    pub folder: PathBuf,
}

impl Orders {
    fn to_bytes(&self) -> Vec<u8> {
        let field = |path: &Path| [path.as_os_str().as_bytes(), b"\0"].concat();
        [field(self.instance.as_ref()), field(&self.config), field(&self.folder)].concat()
    }

    /// `None` unless all fields are there, to their ends: the writer has died.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let mut next = || Some(OsString::from_vec(fields.next()?.to_vec()));
        let (instance, config, folder) = (next()?, next()?, next()?);
        let instance = instance.into_string().ok()?;
        Some(Self { instance, config: config.into(), folder: folder.into() })
    }

    /// Waits for the orders of this process on its standard input, which is empty from then on.
    /// `None` if there will be none.
    ///
    /// # Errors
    /// The system's.
    pub fn receive() -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self::parse(&bytes))
    }
}

/// A worker that waits for its orders. It ends with this value.
#[derive(Debug)]
pub struct Standby(Child);

impl Standby {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).spawn().map(Self)
    }

    /// Gives it its orders. One that has died meanwhile does not get them; its exit says why.
    pub(super) async fn begin(mut self, orders: &Orders) -> Child {
        if let Some(mut input) = self.0.stdin.take() {
            let _ = input.write_all(&orders.to_bytes()).await;
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given_or_not_at_all() {
        let orders = Orders {
            instance: "shop-jwt".into(),
            config: "/p/.samocode".into(),
            folder: OsString::from_vec(b"/p/caf\xe9\n".to_vec()).into(),
        };
        let bytes = orders.to_bytes();
        assert_eq!(Orders::parse(&bytes), Some(orders));
        for cut in 0..bytes.len() {
            assert_eq!(Orders::parse(&bytes[..cut]), None, "{cut} bytes");
        }
    }
}
