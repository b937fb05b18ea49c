//! Printing that ignores write errors. The action has already happened, so a closed pipe or a full
//! disk behind the output is no reason to panic, as `println!` would.

/// Prints a line about what was done on standard output; nothing with `--quiet`.
macro_rules! outln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if !$crate::cli::ui::output::is_quiet() {
            let _ = writeln!(anstream::stdout(), $($text)*);
        }
    }};
}

/// Prints a line that was asked for on standard output.
macro_rules! dataln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stdout(), $($text)*);
    }};
}

/// Prints on standard output without a newline, and flushes.
macro_rules! out {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let mut out = anstream::stdout();
        let _ = write!(out, $($text)*).and_then(|()| out.flush());
    }};
}

/// Prints a line on standard error.
macro_rules! errln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stderr(), $($text)*);
    }};
}
