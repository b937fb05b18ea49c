//! Prices of models, to estimate what a run cost when its agent reports only tokens.
//!
//! The built-in table is only as good as its date. Whoever has other prices, or another model,
//! writes a line into `~/.config/samocode/prices`:
//!
//! ```text
//! # MODEL  INPUT  CACHED  OUTPUT, in US dollars per million tokens
//! gpt-5    1.25   0.125   10.00
//! ```

use std::collections::HashMap;
use std::path::Path;

use super::event::Usage;
use crate::session::utf16::utf16;

/// The built-in prices, in the syntax of `~/.config/samocode/prices`.
const TABLE: &str = include_str!("table.txt");

/// The prices of one model, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    input: f64,
    cached: f64,
    output: f64,
}

/// The prices of all known models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(HashMap<String, Price>);

impl Prices {
    /// The built-in prices and, before them, those of the user's file. Lines that cannot be read
    /// are left out and described.
    #[must_use]
    pub fn load(own: Option<&Path>) -> (Self, Vec<String>) {
        let mut prices = Self::default();
        let mut problems = prices.add(TABLE, "the built-in prices");
        let bytes = own.map(|path| (path, std::fs::read(path)));
        match bytes {
            Some((path, Ok(bytes))) => {
                // A line that is no text costs only itself.
                let text = utf16(&bytes);
                let text = text.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
                let text = text.trim_start_matches('\u{feff}');
                problems.extend(prices.add(text, &path.display().to_string()));
            }
            Some((path, Err(error))) if error.kind() != std::io::ErrorKind::NotFound => {
                problems.push(format!("cannot read the prices in {}: {error}", path.display()));
            }
            Some((_, Err(_))) | None => {}
        }
        (prices, problems)
    }

    fn add(&mut self, text: &str, file: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            match read(line) {
                Some((model, price)) => drop(self.0.insert(model, price)),
                None => problems.push(format!(
                    "{file}:{}: '{line}' is not a price: write MODEL INPUT CACHED OUTPUT, in dollars per million tokens",
                    at + 1
                )),
            }
        }
        problems
    }

    /// What these tokens of this model cost; `None` for a model without a price.
    #[must_use]
    pub fn estimate(&self, model: &str, usage: Usage) -> Option<f64> {
        if usage.is_none() {
            return None;
        }
        let price = self.of(model)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more precision")]
        let cost = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        Some(
            cost(usage.input.saturating_add(usage.cache_write), price.input)
                + cost(usage.cache_read, price.cached)
                + cost(usage.output, price.output),
        )
    }

    /// Whether a model has a price.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.of(model).is_some()
    }

    /// By the model's whole name, else without the provider before it and the date after it.
    fn of(&self, model: &str) -> Option<Price> {
        let model = model.trim().to_ascii_lowercase();
        let bare = model.rsplit('/').next().unwrap_or(&model);
        [model.as_str(), bare, undated(bare)].into_iter().find_map(|name| self.0.get(name).copied())
    }
}

/// A model's name without a date at its end: `gpt-5-2026-08-07` is `gpt-5`.
fn undated(model: &str) -> &str {
    let is = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
    };
    let forms = ["-0000-00-00", "-00000000"].into_iter();
    let mut cuts = forms.filter_map(|form| {
        let at = model.len().checked_sub(form.len())?;
        is(model.get(at..)?, form).then(|| &model[..at])
    });
    cuts.next().unwrap_or(model)
}

fn read(line: &str) -> Option<(String, Price)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [model, input, cached, output] = words.as_slice() else { return None };
    let number = |word: &str| {
        word.trim_start_matches('$').parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)
    };
    let price = Price { input: number(input)?, cached: number(cached)?, output: number(output)? };
    Some((model.to_ascii_lowercase(), price))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage =
        Usage { input: 1_000_000, output: 100_000, cache_read: 2_000_000, cache_write: 0 };

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn the_built_in_table_can_be_read() {
        let (prices, problems) = Prices::load(None);
        assert_eq!(problems, Vec::<String>::new());
        close(prices.estimate("gpt-5", USAGE), 1.25 + 0.25 + 1.0);
    }

    #[test]
    fn a_model_is_known_with_a_date_and_a_provider_too_and_no_other() {
        let (prices, _) = Prices::load(None);
        for known in ["gpt-5-2026-08-07", "openai/gpt-5-mini", "GPT-5.1-Codex"] {
            assert!(prices.knows(known), "{known}");
        }
        for unknown in ["gpt-6", "gpt-5-huge", "gpt-5-20", ""] {
            assert!(!prices.knows(unknown), "{unknown}");
            assert_eq!(prices.estimate(unknown, USAGE), None);
        }
        assert_eq!(prices.estimate("gpt-5", Usage::default()), None);
    }

    #[test]
    fn the_users_file_comes_first_and_its_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices");
        std::fs::write(&path, "gpt-5 $2 0 20 # ours\nhouse-model 0 0 0\ngpt-5 cheap\nx 1 2 -3\n")
            .unwrap();
        let (prices, problems) = Prices::load(Some(&path));
        close(prices.estimate("gpt-5", USAGE), 4.0);
        close(prices.estimate("house-model", USAGE), 0.0);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("prices:3: 'gpt-5 cheap' is not a price"), "{problems:?}");
        // Saved by other editors.
        let utf16 = "\u{feff}m 1 0 0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, mistakes) in [(b"\xef\xbb\xbfm 1 0 0\r\n\xff 2 2 x\n".to_vec(), 1), (utf16, 0)]
        {
            std::fs::write(&path, bytes).unwrap();
            let (prices, problems) = Prices::load(Some(&path));
            close(prices.estimate("m", USAGE), 1.0);
            assert_eq!(problems.len(), mistakes, "{problems:?}");
        }
        let (_, problems) = Prices::load(Some(&folder.path().join("none")));
        assert!(problems.is_empty());
    }
}
