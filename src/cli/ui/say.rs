//! What verbs that do something say of it. Nobody may be reading any more, or the disk behind the
//! output may be full: what was done is done, and no reason to panic as `println!` would.

/// Prints a line on standard output.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stdout(), $($text)*);
    }};
}

/// Prints on standard output without ending the line, and at once.
macro_rules! say_on {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let mut out = anstream::stdout();
        let _ = write!(out, $($text)*).and_then(|()| out.flush());
    }};
}

/// Prints a line on standard error.
macro_rules! say_aside {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stderr(), $($text)*);
    }};
}
