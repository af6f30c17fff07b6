//! Text that somebody else chose, made safe to print.

use std::fmt::{self, Write};

/// Text out of a packet or from another program: an interface's name, a URI, the
/// name of a process. In UTF-8 if its sender kept to the rules.
///
/// `Display` writes it so that it can do no harm on a terminal and cannot be
/// taken for more than one word of a line. Escaped as in Rust (`\n`, `\u{202e}`,
/// `\\`; `\xff` for what is not UTF-8) is every character that is
///
/// - a control character, ESC among them;
/// - invisible or of no width: format characters (Unicode category Cf, such as
///   those that change the direction of text), marks that combine with the
///   character before them, and fillers;
/// - a separator: spaces, and ends of lines and paragraphs;
/// - a backslash;
/// - not assigned, or for private use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(pub &'a [u8]);

impl<'a> Name<'a> {
    /// Without the zeros that fill it up.
    pub(crate) fn padded(bytes: &'a [u8]) -> Self {
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        Self(&bytes[..bytes.len() - zeros])
    }

    /// Writes it as `Display` does, with a backslash in front of each of
    /// `special` as well. These are visible ASCII characters.
    pub(crate) fn write(self, out: &mut impl Write, special: &[char]) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if special.contains(&character) {
                    write!(out, "\\{character}")?;
                } else {
                    write_character(out, character)?;
                }
            }
            write!(out, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &[])
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

fn write_character(out: &mut impl Write, character: char) -> fmt::Result {
    match character {
        '\\' => out.write_str("\\\\"),
        '!'..='~' => out.write_char(character),
        ' ' | BRAILLE_BLANK => write!(out, "{}", character.escape_unicode()),
        _ if HANGUL_FILLERS.contains(&character) => write!(out, "{}", character.escape_unicode()),
        // The standard library knows the categories of Unicode: it escapes all
        // of C and Z, and what extends a grapheme.
        _ => write!(out, "{}", character.escape_debug()),
    }
}

/// Letters by their category, but nothing is drawn.
const HANGUL_FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
/// A symbol by its category, with no dot in it.
const BRAILLE_BLANK: char = '\u{2800}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_stays_as_it_is() {
        for text in [
            "eth0",
            "größe",
            "日本",
            "https://a.example/?b='c'&\"d\"#~",
            "🦀",
        ] {
            assert_eq!(Name::from(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_visible_is_escaped() {
        for (text, expected) in [
            // Control characters of ASCII and of Latin-1.
            ("a\0\t\r\n\x1b[31m\x7f", r"a\0\t\r\n\u{1b}[31m\u{7f}"),
            ("\u{9b}2J", r"\u{9b}2J"),
            // Direction: marks, embeddings, overrides, isolates.
            ("\u{61c}\u{200e}\u{200f}", r"\u{61c}\u{200e}\u{200f}"),
            (
                "a\u{202a}b\u{202e}c\u{2066}\u{2069}",
                r"a\u{202a}b\u{202e}c\u{2066}\u{2069}",
            ),
            // No width: joiners, the byte order mark, tags, variations, accents.
            (
                "\u{200b}\u{200c}\u{200d}\u{2060}",
                r"\u{200b}\u{200c}\u{200d}\u{2060}",
            ),
            ("\u{feff}\u{ad}\u{e0041}", r"\u{feff}\u{ad}\u{e0041}"),
            ("a\u{fe0f}\u{34f}\u{301}", r"a\u{fe0f}\u{34f}\u{301}"),
            (
                "\u{3164}\u{115f}\u{1160}\u{ffa0}\u{2800}",
                r"\u{3164}\u{115f}\u{1160}\u{ffa0}\u{2800}",
            ),
            // Separators.
            ("a b\u{a0}\u{3000}", r"a\u{20}b\u{a0}\u{3000}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            // Private, not assigned.
            ("\u{e000}\u{378}", r"\u{e000}\u{378}"),
            ("\\n", r"\\n"),
        ] {
            assert_eq!(Name::from(text).to_string(), expected);
        }
        assert_eq!(Name(b"\xc3a\xff").to_string(), r"\xc3a\xff");
    }

    #[test]
    fn no_character_passes_that_a_terminal_acts_on() {
        for character in '\0'..=char::MAX {
            let text = Name::from(character.to_string().as_str()).to_string();
            let is_shown = text.chars().count() == 1;
            let is_harmless = !character.is_control() && !character.is_whitespace();
            assert!(is_harmless || !is_shown, "{character:?}");
            assert!(!text.contains('\x1b'));
        }
    }

    #[test]
    fn special_characters_are_marked() {
        let mut text = String::new();
        Name(b"a.b,c").write(&mut text, &['.', ',']).unwrap();
        assert_eq!(text, r"a\.b\,c");
    }
}
