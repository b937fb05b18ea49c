//! The link that lets a browser in.

use jiff::Timestamp;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::control::{Error, Result};

use super::access::Access;
use super::tokens::Tokens;

/// A new link to the pages at `base`.
pub(super) fn new(tokens: &Tokens, base: &str, access: Access) -> Result<String> {
    let token = tokens.new_link(access, Timestamp::now()).map_err(|error| {
        Error::unavailable(format!("cannot save a link in the state folder: {error}"))
    })?;
    Ok(format!("{base}/enter?token={token}"))
}

/// A link as it is printed for a human, with a QR code if one is wanted.
#[must_use]
pub fn link_text(link: &str, with_qr_code: bool) -> String {
    let code = if with_qr_code { qr_code(link) } else { String::new() };
    format!("Open this link within 30 minutes; it works once:\n\n  {link}\n\n{code}")
}

/// A link as a QR code for a terminal, dark on light as cameras expect; empty for a link that is
/// too long for one.
#[must_use]
pub fn qr_code(link: &str) -> String {
    let Ok(code) = QrCode::new(link.as_bytes()) else { return String::new() };
    // A terminal is taken to be dark: what is printed is light.
    let picture =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    format!("{picture}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_fits_a_terminal_as_a_qr_code() {
        let link = format!("https://192.0.2.7:8443/enter?token={}", "a".repeat(64));
        let picture = qr_code(&link);
        let widths: Vec<usize> = picture.lines().map(|line| line.chars().count()).collect();
        assert!(
            widths.len() < 40 && widths.iter().all(|width| (40..80).contains(width)),
            "{picture}"
        );
        assert_eq!(qr_code(&"x".repeat(5000)), "");
    }
}
