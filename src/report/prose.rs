//! Markdown of an agent as HTML that can do nothing.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Markdown as HTML: tags in it are shown as text, links go only to the web, images are links, and
/// headings are below those of the page.
pub(crate) fn html(markdown: &str) -> Markup {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(markdown, options).map(tamed);
    let mut page = String::new();
    html::push_html(&mut page, events);
    PreEscaped(page)
}

/// A step of a list that is done, and one that is not.
const DONE: &str = r#"<span class="step" role="img" aria-label="done">☑</span> "#;
const OPEN: &str = r#"<span class="step" role="img" aria-label="open">☐</span> "#;

fn tamed(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id })
        | Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let dest_url = if is_web(&dest_url) { dest_url } else { "#".into() };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: lowered(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lowered(level))),
        // A checkbox would be a control without a name.
        Event::TaskListMarker(is_done) => {
            Event::InlineHtml(if is_done { DONE } else { OPEN }.into())
        }
        other => other,
    }
}

/// Two levels down: the page has a title and a heading for each part.
const fn lowered(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

fn is_web(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    url.starts_with("https://") || url.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_markdown_can_do_nothing() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](  JaVaScRiPt:alert(1))",
            "![x](data:text/html,<script>)",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "```\" onclick=\"alert(1)\n</pre><script>\n```",
        ] {
            let page = html(text).into_string();
            assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
            assert!(!page.contains("href=\"j") && !page.contains("href=\"d"), "{page}");
            assert!(!page.contains("\" onclick"), "{page}");
        }
        let page = html("- [x] a [b](https://example.org/?q=1&w=2)\n").into_string();
        assert!(html("# Plan\n").into_string().contains("<h3>Plan</h3>"));
        assert!(
            page.contains("aria-label=\"done\"")
                && page.contains("https://example.org/?q=1&amp;w=2")
        );
    }
}
