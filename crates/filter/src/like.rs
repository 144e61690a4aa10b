use std::sync::Arc;

/// The pattern of a `LIKE`: `%` for any characters, `_` for one, `\%` and `\_` for
/// themselves. Any other backslash is one.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Pattern {
    source: Arc<str>,
    /// What stands between the `%`: one more than there are of them.
    runs: Vec<Run>,
}

/// What a pattern says in full, when it says something simple.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape<'p> {
    Anything,
    Equal(&'p str),
    Prefix(&'p str),
    Suffix(&'p str),
    /// Something else; it starts and ends with these.
    Other {
        start: &'p str,
        end: &'p str,
    },
}

/// Characters in a row.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
enum Run {
    /// Exactly these.
    Exact(Box<str>),
    /// One of them, or any character for none.
    Loose(Box<[Option<char>]>, Ends),
}

/// What a loose run starts and ends with, up to its first and from its last `_`.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
struct Ends {
    start: Box<str>,
    end: Box<str>,
}

/// The steps that may still be taken.
pub(crate) struct Steps(pub(crate) usize);

/// The steps ran out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfSteps;

impl Pattern {
    pub(crate) fn new(source: &str) -> Self {
        let mut runs = Vec::new();
        let mut run = Vec::new();
        let mut rest = source.chars().peekable();
        while let Some(one) = rest.next() {
            match one {
                '%' => runs.push(Run::new(&std::mem::take(&mut run))),
                '_' => run.push(None),
                '\\' => run.push(rest.next_if(|next| matches!(next, '%' | '_')).or(Some('\\'))),
                other => run.push(Some(other)),
            }
        }
        runs.push(Run::new(&run));
        Self { source: source.into(), runs }
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        match self.runs.as_slice() {
            [Run::Exact(text)] => Shape::Equal(text),
            [first, between @ .., last] if between.iter().all(Run::is_empty) => {
                match (first, last) {
                    (first, last) if first.is_empty() && last.is_empty() => Shape::Anything,
                    (Run::Exact(text), last) if last.is_empty() => Shape::Prefix(text),
                    (first, Run::Exact(text)) if first.is_empty() => Shape::Suffix(text),
                    (first, last) => Shape::Other { start: first.start(), end: last.end() },
                }
            }
            [only] => Shape::Other { start: only.start(), end: only.end() },
            [first, .., last] => Shape::Other { start: first.start(), end: last.end() },
            [] => Shape::Anything,
        }
    }

    /// Whether matching may run out of steps.
    pub(crate) fn may_run_out(&self) -> bool {
        match self.runs.as_slice() {
            [_, between @ .., _] => between.iter().any(|run| matches!(run, Run::Loose(..))),
            _ => false,
        }
    }

    /// Whether a text matches. Runs are looked for from left to right, each at the
    /// first place where it fits: there is nothing to go back for.
    pub(crate) fn matches(&self, text: &str, steps: &mut Steps) -> Result<bool, OutOfSteps> {
        let [first, others @ ..] = self.runs.as_slice() else { return Ok(text.is_empty()) };
        let Some(mut rest) = first.strip_start(text) else { return Ok(false) };
        let [between @ .., last] = others else { return Ok(rest.is_empty()) };
        for run in between {
            match run.find(rest, steps)? {
                Some(after) => rest = after,
                None => return Ok(false),
            }
        }
        Ok(last.ends(rest))
    }
}

impl Run {
    fn new(characters: &[Option<char>]) -> Self {
        if characters.iter().all(Option::is_some) {
            return Self::Exact(characters.iter().flatten().collect::<String>().into());
        }
        let known = |characters: &mut dyn Iterator<Item = &Option<char>>| -> Vec<char> {
            characters.map_while(|one| *one).collect()
        };
        let start = known(&mut characters.iter());
        let end = known(&mut characters.iter().rev());
        let ends = Ends {
            start: start.into_iter().collect::<String>().into(),
            end: end.into_iter().rev().collect::<String>().into(),
        };
        Self::Loose(characters.into(), ends)
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Exact(text) if text.is_empty())
    }

    fn start(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Loose(_, ends) => &ends.start,
        }
    }

    fn end(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Loose(_, ends) => &ends.end,
        }
    }

    /// What follows the run, when the text starts with it.
    fn strip_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Exact(exact) => text.strip_prefix(&**exact),
            Self::Loose(characters, _) => {
                let mut rest = text.chars();
                for wanted in characters {
                    let found = rest.next()?;
                    if wanted.is_some_and(|wanted| wanted != found) {
                        return None;
                    }
                }
                Some(rest.as_str())
            }
        }
    }

    /// What follows the first place where the run stands.
    fn find<'t>(&self, text: &'t str, steps: &mut Steps) -> Result<Option<&'t str>, OutOfSteps> {
        let characters = match self {
            Self::Exact(exact) => {
                return Ok(text.find(&**exact).map(|place| &text[place + exact.len()..]));
            }
            Self::Loose(characters, _) => characters,
        };
        let mut rest = text.chars();
        loop {
            steps.0 = steps.0.checked_sub(characters.len()).ok_or(OutOfSteps)?;
            if let Some(after) = self.strip_start(rest.as_str()) {
                return Ok(Some(after));
            }
            if rest.next().is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether the text ends with the run.
    fn ends(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text.ends_with(&**exact),
            Self::Loose(characters, _) => {
                let mut rest = text.chars().rev();
                characters.iter().rev().all(|wanted| {
                    rest.next().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
                })
            }
        }
    }
}

// A pattern is what it was made from.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(text: &str, pattern: &str) -> bool {
        Pattern::new(pattern).matches(text, &mut Steps(1 << 20)).unwrap()
    }

    /// The definition, word for word.
    fn naive(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skipped| naive(&text[skipped..], rest)),
            ['_', rest @ ..] => !text.is_empty() && naive(&text[1..], rest),
            ['\\', escaped @ ('%' | '_'), rest @ ..] | [escaped, rest @ ..] => {
                text.first() == Some(escaped) && naive(&text[1..], rest)
            }
        }
    }

    #[test]
    fn shapes_say_what_an_index_can_look_up() {
        for (pattern, shape) in [
            ("", Shape::Equal("")),
            ("abc", Shape::Equal("abc")),
            (r"a\%c", Shape::Equal("a%c")),
            ("abc%", Shape::Prefix("abc")),
            ("abc%%", Shape::Prefix("abc")),
            ("%abc", Shape::Suffix("abc")),
            ("%", Shape::Anything),
            ("%%", Shape::Anything),
            ("a%b", Shape::Other { start: "a", end: "b" }),
            ("a%x%b", Shape::Other { start: "a", end: "b" }),
            ("%x%", Shape::Other { start: "", end: "" }),
            ("ab_d", Shape::Other { start: "ab", end: "d" }),
            ("_", Shape::Other { start: "", end: "" }),
            ("a_%", Shape::Other { start: "a", end: "" }),
        ] {
            assert_eq!(Pattern::new(pattern).shape(), shape, "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_runs_out_of_steps() {
        let text = "a".repeat(60_000);
        let pattern = Pattern::new(&format!("%{}_b%", "a".repeat(8_000)));
        assert!(pattern.may_run_out());
        assert_eq!(pattern.matches(&text, &mut Steps(1 << 20)), Err(OutOfSteps));
        // Without `_` it takes time in proportion to the text.
        let pattern = format!("%{}b%", "a%".repeat(8_000));
        assert!(!matches(&text, &pattern));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(
            text in r"[ab%_\\é]{0,8}",
            pattern in r"[ab%%__\\é]{0,8}",
        ) {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&characters(&text), &characters(&pattern));
            prop_assert_eq!(matches(&text, &pattern), expected);
            match Pattern::new(&pattern).shape() {
                Shape::Anything => prop_assert!(expected),
                Shape::Equal(wanted) => prop_assert_eq!(expected, text == wanted),
                Shape::Prefix(wanted) => prop_assert_eq!(expected, text.starts_with(wanted)),
                Shape::Suffix(wanted) => prop_assert_eq!(expected, text.ends_with(wanted)),
                Shape::Other { start, end } => prop_assert!(
                    !expected || (text.starts_with(start) && text.ends_with(end))
                ),
            }
        }
    }
}
