//! Debian's control format: `Name: value` fields, continued on indented lines,
//! in paragraphs separated by blank ones. Indexes, releases and apt's `.sources`
//! are all written in it.

/// The fields of one paragraph, as they stand in the text.
pub(super) struct Paragraph<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Paragraph<'a> {
    /// The value, its continuation lines included. Names ignore case.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|&(_, value)| value)
    }

    /// The words of a value; none if it is absent.
    pub(super) fn words(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.get(name).unwrap_or_default().split_whitespace()
    }
}

/// The paragraphs of `text`. Comments must have been removed: see [`without_comments`].
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let end = field_end(rest);
            let (field, after) = rest.split_at(end);
            rest = after;
            match field.split_once(':') {
                Some((name, value)) if !field.trim().is_empty() => {
                    fields.push((name.trim(), value.trim()))
                }
                // A blank line, or one that is no field: the paragraph ends if it began.
                _ if fields.is_empty() => {}
                _ => break,
            }
        }
        (!fields.is_empty()).then_some(Paragraph(fields))
    })
}

/// Lines that begin with `#` may stand anywhere in apt's files, even within a field.
pub(super) fn without_comments(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Where the field at the start of `text` ends, with the lines that continue it.
fn field_end(text: &str) -> usize {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let continues = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if end > 0 && !continues {
            break;
        }
        end += line.len();
        if line.trim().is_empty() {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_continue_and_paragraphs_end() {
        let text = "\nPackage: a\nDepends: b,\n c (>= 1:2)\n\n\nPackage: d\nURL: x://y\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("package"), Some("a"));
        assert_eq!(all[0].get("Depends"), Some("b,\n c (>= 1:2)"));
        assert_eq!(all[1].get("URL"), Some("x://y"));
        assert_eq!(all[1].get("Depends"), None);
    }

    #[test]
    fn comments_go_even_within_a_paragraph() {
        let text = without_comments("Types: deb\n# URIs: nowhere\nURIs: a\n#  b\n c\n");
        let only = paragraphs(&text).next().unwrap();
        assert_eq!(only.words("URIs").collect::<Vec<_>>(), ["a", "c"]);
    }
}
