//! How things look for people: ticks, times, and texts of others that must not steer the terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::command::MessageView;

/// One object, or list, in one line.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// A line on stdout; an error when nobody reads it any more.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// A text without what would steer the terminal: other control characters than line ends are replaced, and
/// so are those that turn the direction of writing.
pub(super) fn safe(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The same in one line of a list: later lines are indented.
pub(super) fn indented(text: &str) -> String {
    safe(text).replace('\n', "\n    ")
}

/// The same in one line.
pub(super) fn line_of(text: &str) -> String {
    safe(text).replace('\n', " ")
}

/// What is known of the reason for something, to go into a sentence.
pub(super) fn because(problem: Option<&str>) -> String {
    problem.map(|problem| format!(" ({})", safe(problem))).unwrap_or_default()
}

/// How far a message has come, as people see it; nothing for one of others that is read.
pub(super) fn state(message: &MessageView) -> String {
    progress(&message.state, message.failed.as_deref(), message.note.as_deref())
}

/// How far something has come, why no further, and what it waits for.
pub(super) fn progress(state: &str, failed: Option<&str>, note: Option<&str>) -> String {
    match (failed, note) {
        (Some(why), _) => paint(RED, &format!("✗ failed: {why}")),
        (None, Some(note)) => format!("{} ({note})", tick(state)),
        (None, None) => tick(state),
    }
}

/// How far a message has come.
pub(super) fn tick(state: &str) -> String {
    match state {
        "waiting" => "· waiting at your relay".to_owned(),
        "sent" => "✓ sent".to_owned(),
        "delivered" => "✓✓ delivered".to_owned(),
        "read" => paint(BLUE, "✓✓ read"),
        other => format!("· {other}"),
    }
}

const RED: u8 = 31;
const BLUE: u8 = 36;

/// In colour, if a terminal shows it and the user did not say otherwise (<https://no-color.org>).
fn paint(colour: u8, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !io::stdout().is_terminal() {
        text.to_owned()
    } else {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    }
}

/// Milliseconds since 1970 as ISO 8601 has them, in UTC, to the second.
pub(super) fn time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date so many days after 1970-01-01. Years here begin in March: a leap day ends them.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01; 400 years are 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    // Less the leap days so far: one in 4 years, but not in 100, and in 400 again.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // March to July, and August to December, have 153 days in 5 months.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(time(seconds * 1_000), text);
        }
    }

    #[test]
    fn texts_of_others_do_not_steer_the_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\r\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\nd");
    }
}
