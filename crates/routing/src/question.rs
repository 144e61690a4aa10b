use std::sync::Arc;

use wissel_filter::{Condition, FilterError, Necessary, Operand};

use crate::changes::Alternative;

/// What an alternative of a subscription asks, taken apart.
pub(crate) struct Question<T> {
    /// The event types wanted; every type when it is none.
    pub(crate) types: Option<Vec<Arc<str>>>,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) followed: bool,
    pub(crate) target: T,
}

impl<T> Question<T> {
    /// None when nothing can match.
    pub(crate) fn of(alternative: Alternative<'_, T>) -> Result<Option<Self>, FilterError> {
        let Alternative { types, filters, followed, target } = alternative;
        let mut types: Option<Vec<Arc<str>>> = if types.is_empty() {
            None
        } else {
            Some(types.iter().map(|&one| one.into()).collect())
        };
        let mut conditions = Vec::new();
        for filter in filters {
            for condition in filter.compile()?.into_conjuncts() {
                match wanted_types(&condition) {
                    Some(wanted) => types = Some(intersection(types, wanted)),
                    None => conditions.push(condition),
                }
            }
        }
        if let Some(types) = &mut types {
            types.sort_unstable();
            types.dedup();
        }
        let nothing = types.as_ref().is_some_and(Vec::is_empty);
        let nothing = nothing || conditions.iter().any(Condition::is_never);
        Ok((!nothing).then_some(Self { types, conditions, followed, target }))
    }
}

/// The event types of a condition that says nothing but which it must be one of.
fn wanted_types(condition: &Condition) -> Option<Vec<Arc<str>>> {
    match condition.necessary() {
        Necessary::OneOf { operand: Operand::Attribute(name), values, exact: true }
            if &*name == "type" =>
        {
            Some(values)
        }
        _ => None,
    }
}

fn intersection(types: Option<Vec<Arc<str>>>, wanted: Vec<Arc<str>>) -> Vec<Arc<str>> {
    match types {
        None => wanted,
        Some(types) => types.into_iter().filter(|one| wanted.contains(one)).collect(),
    }
}
