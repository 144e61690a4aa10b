//! From an expression to a condition.
//!
//! What can be said by tests of single operands, without a trace of CESQL left, is said
//! so; the rest stays an expression. Either way the condition holds exactly when the
//! expression is true without an error, but for the limits of an evaluation, which each
//! part has for itself.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::Operand;
use crate::condition::{Condition, Test};
use crate::functions::Function;
use crate::like::Shape;
use crate::sql::{Comparison, Literal, Logic, Node, Type, fold};
use crate::words;

/// The condition that an expression is true, and has no error.
pub(crate) fn compile(expression: &Node) -> Condition {
    let folded = fold(expression);
    match folded.value_type() {
        Some(Type::Boolean) => truth(&folded, true),
        // A message with another value does not pass (section 1.2).
        Some(_) => Condition::NEVER,
        None => Condition::sql(folded),
    }
}

/// The condition that an operand of a logical operator, cast to Boolean, is this.
fn truth(node: &Node, wanted: bool) -> Condition {
    match node {
        Node::Literal(literal) => match crate::cast::Item::of_literal(literal).to_boolean() {
            Some(truth) if truth == wanted => Condition::ALWAYS,
            _ => Condition::NEVER,
        },
        Node::Not(inner) => truth(inner, !wanted),
        Node::Exists(operand) => {
            let there = Condition(Test::Present(operand.clone()));
            if wanted { there } else { Condition::negate(there) }
        }
        Node::Logic(first, rest) => chain(first, rest, wanted),
        Node::Compare(first, rest) => {
            comparison(first, rest, wanted).unwrap_or_else(|| as_expression(node, wanted))
        }
        Node::Like { text, pattern, negated } => match &**text {
            Node::Read(operand) => {
                let test = like(operand, &pattern.shape());
                test.map(|test| test_of(operand, test, wanted != *negated))
            }
            _ => None,
        }
        .unwrap_or_else(|| as_expression(node, wanted)),
        Node::In { value, set, negated } if wanted != *negated => {
            member(value, set).unwrap_or_else(|| as_expression(node, wanted))
        }
        _ => as_expression(node, wanted),
    }
}

/// Takes a chain apart from its end, as far as all of it has to be so.
fn chain(first: &Node, rest: &[(Logic, Node)], wanted: bool) -> Condition {
    let decides = if wanted { Logic::And } else { Logic::Or };
    let mut head = rest;
    let mut parts = Vec::new();
    while let [before @ .., (operator, last)] = head
        && *operator == decides
    {
        parts.push(truth(last, wanted));
        head = before;
    }
    parts.push(match head {
        [] => truth(first, wanted),
        _ => alternatives(first, head, wanted),
    });
    parts.reverse();
    Condition::all(parts)
}

/// A chain of which one operand has to be so. Those to the left of it must be without
/// an error. Where none can have one, or only for want of an operand without which no
/// other is so either, that is no more than one of them being so.
fn alternatives(first: &Node, rest: &[(Logic, Node)], wanted: bool) -> Condition {
    let as_it_is = || {
        let node = Node::Logic(Box::new(first.clone()), rest.to_vec());
        as_expression(&node, wanted)
    };
    let alike = if wanted { Logic::Or } else { Logic::And };
    if rest.iter().any(|(operator, _)| *operator != alike) {
        return as_it_is();
    }
    let mut needed: Option<&Operand> = None;
    let mut conditions = Vec::with_capacity(rest.len() + 1);
    let parts = std::iter::once(first).chain(rest.iter().map(|(_, part)| part));
    for (place, part) in parts.enumerate() {
        let condition = truth(part, wanted);
        if needed.is_some_and(|operand| !requires(&condition, operand)) {
            return as_it_is();
        }
        if place < rest.len() {
            match fails(part) {
                Fails::Never => {}
                Fails::Without(operand) if needed.is_none_or(|other| other == operand) => {
                    needed = Some(operand);
                }
                _ => return as_it_is(),
            }
        }
        conditions.push(condition);
    }
    Condition::any(conditions)
}

/// When a part has an error.
#[derive(PartialEq)]
enum Fails<'n> {
    Never,
    /// When the message does not have this, and only then.
    Without(&'n Operand),
    Perhaps,
}

fn fails(node: &Node) -> Fails<'_> {
    match node {
        Node::Literal(Literal::Boolean(_)) | Node::Exists(_) => Fails::Never,
        Node::Not(inner) if inner.value_type() == Some(Type::Boolean) => fails(inner),
        Node::Compare(first, rest) => match (&**first, rest.as_slice()) {
            (
                Node::Read(operand),
                [(Comparison::Equal | Comparison::NotEqual, Node::Literal(Literal::String(_)))],
            ) => Fails::Without(operand),
            _ => Fails::Perhaps,
        },
        Node::Like { text, pattern, .. } if !pattern.may_run_out() => match &**text {
            Node::Read(operand) => Fails::Without(operand),
            _ => Fails::Perhaps,
        },
        _ => Fails::Perhaps,
    }
}

/// Whether the condition never holds without the operand.
fn requires(condition: &Condition, operand: &Operand) -> bool {
    match &condition.0 {
        Test::Never => true,
        Test::Present(other)
        | Test::Equal(other, _)
        | Test::OneOf(other, _)
        | Test::Prefix(other, _)
        | Test::Suffix(other, _) => other == operand,
        Test::All(parts) => parts.iter().any(|part| requires(part, operand)),
        Test::Any(parts) => parts.iter().all(|part| requires(part, operand)),
        Test::Always | Test::Not(_) | Test::Sql(_) => false,
    }
}

fn comparison(first: &Node, rest: &[(Comparison, Node)], wanted: bool) -> Option<Condition> {
    let [(operator, right)] = rest else { return None };
    let equal = match operator {
        Comparison::Equal => wanted,
        Comparison::NotEqual => !wanted,
        _ => return None,
    };
    match (first, right) {
        // Any value can be cast to a String.
        (Node::Read(operand), Node::Literal(Literal::String(value))) => {
            let test = Test::Equal(operand.clone(), value.clone());
            Some(test_of(operand, test, equal))
        }
        (Node::Literal(Literal::String(value)), Node::Read(operand))
            if equal && words::compare_as_text(std::iter::once(value)) =>
        {
            Some(Condition(Test::Equal(operand.clone(), value.clone())))
        }
        (Node::Call(function, arguments), Node::Literal(Literal::String(value))) => {
            let (operand, test) = end_of(*function, arguments, value)?;
            Some(test_of(operand, test, equal))
        }
        _ => None,
    }
}

/// What `LEFT(operand, count) = 'value'` says, or `RIGHT`: these give the whole text when
/// it is shorter.
fn end_of<'n>(
    function: Function,
    arguments: &'n [Node],
    value: &Arc<str>,
) -> Option<(&'n Operand, Test)> {
    let [Node::Read(operand), Node::Literal(Literal::Integer(count))] = arguments else {
        return None;
    };
    let affix = match function {
        Function::Left => Test::Prefix,
        Function::Right => Test::Suffix,
        _ => return None,
    };
    let count = usize::try_from(*count).ok()?;
    let whole = operand.clone();
    let test = match value.chars().count().cmp(&count) {
        Ordering::Equal if count == 0 => Test::Present(whole),
        Ordering::Equal => affix(whole, value.clone()),
        Ordering::Less => Test::Equal(whole, value.clone()),
        Ordering::Greater => Test::Never,
    };
    Some((operand, test))
}

fn like(operand: &Operand, shape: &Shape<'_>) -> Option<Test> {
    let operand = operand.clone();
    match shape {
        Shape::Anything => Some(Test::Present(operand)),
        Shape::Equal(text) => Some(Test::Equal(operand, (*text).into())),
        Shape::Prefix(text) => Some(Test::Prefix(operand, (*text).into())),
        Shape::Suffix(text) => Some(Test::Suffix(operand, (*text).into())),
        Shape::Other { .. } => None,
    }
}

fn member(value: &Node, set: &[Node]) -> Option<Condition> {
    let Node::Read(operand) = value else { return None };
    let literal = |element: &_| match element {
        Node::Literal(Literal::String(text)) => Some(text.clone()),
        _ => None,
    };
    let values: Vec<_> = set.iter().map(literal).collect::<Option<_>>()?;
    let as_text = words::compare_as_text(values.iter());
    as_text.then(|| Condition::one_of(operand.clone(), values))
}

/// The operand is there, and the test holds or does not.
fn test_of(operand: &Operand, test: Test, wanted: bool) -> Condition {
    let test = Condition(test);
    if wanted {
        return test;
    }
    let there = Condition(Test::Present(operand.clone()));
    if test == there { Condition::NEVER } else { Condition::all([there, Condition::negate(test)]) }
}

/// The part as an expression of its own that has to be true.
fn as_expression(node: &Node, wanted: bool) -> Condition {
    let boolean = node.value_type() == Some(Type::Boolean);
    Condition::sql(match (wanted, boolean) {
        (true, true) => node.clone(),
        (true, false) => Node::Call(Function::Bool, vec![node.clone()]),
        (false, _) => Node::Not(Box::new(node.clone())),
    })
}
