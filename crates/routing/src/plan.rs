//! Where to file a subscription.
//!
//! Of what a subscription asks, something is chosen that must be so whenever it matches,
//! and that a message can be looked up by: the values of one or two attributes, the
//! beginning or the end of one. What a place says is not checked again for what is found
//! there; the rest is *left* to be checked.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use wissel_filter::{Condition, Necessary, Operand};

use crate::entry::Affix;

/// Something that a message can be looked up by.
#[derive(Debug, Clone)]
pub(crate) enum Spot {
    /// The values of these, together. Of none: by its type alone.
    Values(SmallVec<[(Operand, Arc<str>); 2]>),
    /// The beginning of a text, or its end.
    Affix(Operand, Affix, Arc<str>),
}

/// One way to file a subscription.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// Whatever it matches has one of these at least.
    pub(crate) spots: Vec<Spot>,
    /// The conditions that the spots say all of, by number.
    pub(crate) said: SmallVec<[usize; 2]>,
    rank: Rank,
}

/// How many messages are likely to be found in a place of the kind, fewest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Subject,
    Attribute,
    Data,
    Affix,
    /// As good as the same for all messages of a type.
    Constant,
}

/// The most places that one entry is filed in.
const SPOTS_MAX: usize = 10_000;
/// The most kinds of look-up that messages are to do for the sake of one subscription.
const KINDS_OF_A_WAY: usize = 4;
/// The most ways by one condition that are weighed.
const SINGLES_MAX: usize = 32;
/// How many of them are weighed two by two.
const PAIRED: usize = 6;
/// The most combinations of two sets of values.
const PAIRS_MAX: usize = 64;

/// What tells look-ups apart.
type Kind<'a> = (Option<Affix>, SmallVec<[&'a Operand; 2]>);

impl Way {
    /// By the event type alone.
    pub(crate) fn by_type() -> Self {
        let spots = vec![Spot::Values(SmallVec::new())];
        Self { spots, said: SmallVec::new(), rank: Rank::Constant }
    }

    /// Whether messages are looked up by what is in their data.
    pub(crate) fn reads_data(&self) -> bool {
        self.spots.iter().any(|spot| match spot {
            Spot::Values(values) => {
                values.iter().any(|(operand, _)| matches!(operand, Operand::Data(_)))
            }
            Spot::Affix(operand, ..) => matches!(operand, Operand::Data(_)),
        })
    }

    /// Ways to file what asks for all of these: first by one condition, the most telling
    /// first, then by two. However much is asked, they are few.
    pub(crate) fn all(conditions: &[Condition]) -> Vec<Self> {
        let conditions = conditions.iter().enumerate();
        let mut ways: Vec<Self> = conditions
            .filter_map(|(number, condition)| Self::of(number, &condition.necessary()))
            .filter(|way| way.spots.len() <= SPOTS_MAX && way.kinds() <= KINDS_OF_A_WAY)
            .collect();
        ways.sort_by_key(|way| way.rank);
        ways.truncate(SINGLES_MAX);
        let best = &ways[..ways.len().min(PAIRED)];
        let mut pairs = Vec::new();
        for (number, one) in best.iter().enumerate() {
            pairs.extend(best[number + 1..].iter().filter_map(|other| one.and(other)));
        }
        ways.append(&mut pairs);
        ways
    }

    /// How many kinds of look-up it needs: nobody may bring many.
    fn kinds(&self) -> usize {
        let mut kinds: SmallVec<[Kind<'_>; KINDS_OF_A_WAY]> = SmallVec::new();
        for spot in &self.spots {
            let kind = match spot {
                Spot::Values(values) => (None, values.iter().map(|(operand, _)| operand).collect()),
                Spot::Affix(operand, affix, _) => (Some(*affix), smallvec![operand]),
            };
            if kinds.len() <= KINDS_OF_A_WAY && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.len()
    }

    fn of(number: usize, necessary: &Necessary) -> Option<Self> {
        match necessary {
            Necessary::Nothing => None,
            Necessary::OneOf { operand, values, exact } => {
                let spots = values.iter();
                let spots = spots
                    .map(|value| Spot::Values(smallvec![(operand.clone(), Arc::clone(value))]))
                    .collect();
                Some(Self { spots, said: said(number, *exact), rank: Rank::of(operand) })
            }
            Necessary::Prefix { operand, value, exact } => {
                Self::of_affix(number, operand, Affix::Prefix, value, *exact)
            }
            Necessary::Suffix { operand, value, exact } => {
                Self::of_affix(number, operand, Affix::Suffix, value, *exact)
            }
            Necessary::All(parts) => {
                let ways = parts.iter().filter_map(|part| Self::of(number, part));
                let best = ways.min_by_key(|way| (way.rank, way.spots.len()))?;
                Some(Self { said: SmallVec::new(), ..best })
            }
            Necessary::Any(parts) => {
                let ways: Option<Vec<Self>> =
                    parts.iter().map(|part| Self::of(number, part)).collect();
                let ways = ways?;
                let rank = ways.iter().map(|way| way.rank).max()?;
                let spots = ways.into_iter().flat_map(|way| way.spots).collect();
                Some(Self { spots, said: SmallVec::new(), rank })
            }
        }
    }

    /// None for an empty text, which says nothing.
    fn of_affix(
        number: usize,
        operand: &Operand,
        affix: Affix,
        text: &Arc<str>,
        exact: bool,
    ) -> Option<Self> {
        let kept = short(affix, text);
        let whole = kept.len() == text.len();
        let kept: Arc<str> = if whole { Arc::clone(text) } else { kept.into() };
        if kept.is_empty() {
            return None;
        }
        let spots = vec![Spot::Affix(operand.clone(), affix, kept)];
        Some(Self { spots, said: said(number, exact && whole), rank: Rank::Affix })
    }

    /// By two sets of values together.
    fn and(&self, other: &Self) -> Option<Self> {
        if self.spots.len() * other.spots.len() > PAIRS_MAX {
            return None;
        }
        let mut spots = Vec::new();
        for one in &self.spots {
            for two in &other.spots {
                let (Spot::Values(one), Spot::Values(two)) = (one, two) else { return None };
                spots.push(Spot::Values(one.iter().chain(two).cloned().collect()));
            }
        }
        let said = self.said.iter().chain(&other.said).copied().collect();
        Some(Self { spots, said, rank: self.rank })
    }
}

/// As much of a beginning or an end as is filed: nobody may make the tree of them deep.
fn short(affix: Affix, text: &str) -> &str {
    const BYTES: usize = 64;
    if text.len() <= BYTES {
        return text;
    }
    match affix {
        Affix::Prefix => &text[..text.floor_char_boundary(BYTES)],
        Affix::Suffix => &text[text.ceil_char_boundary(text.len() - BYTES)..],
    }
}

fn said(number: usize, exact: bool) -> SmallVec<[usize; 2]> {
    if exact { smallvec![number] } else { SmallVec::new() }
}

impl Rank {
    fn of(operand: &Operand) -> Self {
        match operand {
            Operand::Data(_) => Self::Data,
            Operand::Attribute(name) => match &**name {
                "subject" | "id" => Self::Subject,
                "type" | "source" | "specversion" | "datacontenttype" | "dataschema" => {
                    Self::Constant
                }
                _ => Self::Attribute,
            },
        }
    }
}
