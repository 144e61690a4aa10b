use std::borrow::Cow;

/// Why a text is no CESQL expression.
///
/// It shows nothing of the text but its operators, as a literal may be personal.
/// [`ParseError::render`] does, for whoever wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: found {found}; expected {expected}")]
pub struct ParseError {
    /// Where, in bytes from 0.
    pub(crate) offset: usize,
    /// Where, in characters from 1.
    pub(crate) column: usize,
    pub(crate) found: Cow<'static, str>,
    pub(crate) expected: Cow<'static, str>,
}

/// How many characters of a long line are shown on each side of the fault.
const SHOWN_EACH_SIDE: usize = 50;

impl ParseError {
    pub(crate) fn new(
        text: &str,
        offset: usize,
        found: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        let column = text[..offset].chars().count() + 1;
        Self { offset, column, found: found.into(), expected: expected.into() }
    }

    /// Where the fault is, in characters of the text, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What stands there, without its content.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What could have stood there.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The line of the text with a caret under the fault, and the error under that.
    ///
    /// ```
    /// use wissel_filter::Expression;
    ///
    /// let text = "gemeente = ";
    /// let error = Expression::parse(text).unwrap_err();
    /// assert_eq!(
    ///     error.render(text),
    ///     "gemeente = \n           ^\n\
    ///      column 12: found the end; expected a literal, an attribute, a function, \
    ///      `NOT`, `EXISTS`, `-` or `(`"
    /// );
    /// ```
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let offset = self.offset.min(text.len());
        let before = text.get(..offset).unwrap_or_default();
        let after = text.get(offset..).unwrap_or_default();
        let line_before: Vec<char> =
            before.rsplit('\n').next().unwrap_or_default().chars().collect();
        let left_out = line_before.len().saturating_sub(SHOWN_EACH_SIDE);
        let line_after: Vec<char> = after.split('\n').next().unwrap_or_default().chars().collect();
        let cut = line_after.len() > SHOWN_EACH_SIDE;

        let mut rendered = String::new();
        let start = if left_out > 0 { "…" } else { "" };
        rendered.push_str(start);
        rendered.extend(line_before.iter().skip(left_out).map(|&one| printable(one)));
        rendered.extend(line_after.iter().take(SHOWN_EACH_SIDE).map(|&one| printable(one)));
        rendered.push_str(if cut { "…\n" } else { "\n" });
        let padding = start.chars().count() + line_before.len() - left_out;
        rendered.extend(std::iter::repeat_n(' ', padding));
        rendered.push_str("^\n");
        rendered.push_str(&self.to_string());
        rendered
    }
}

fn printable(one: char) -> char {
    if one.is_control() { ' ' } else { one }
}
