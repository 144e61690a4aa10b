//! Evaluation (CESQL 1.0.0, sections 3.2 to 3.6 and 4.1).
//!
//! An operator or function of which an operand comes with an error gives the zero value
//! of its own type, with that error: section 3.3 asks it where no return value is
//! obvious, section 3.2 of what reads a missing attribute, and the conformance kit has
//! it so (`true AND (1 != 1 / 0)` is `false` with a math error). An error of an
//! operator or function itself comes with the value that its definition gives:
//! `LEFT('abc', -2)` is `'abc'`, `1 / 0` is `0`.

use std::borrow::Cow;

use smallvec::SmallVec;
use wissel_message::show_attribute_name;

use crate::cast::Item;
use crate::evaluation::{ErrorKind, Evaluation, EvaluationError, Output};
use crate::functions::Function;
use crate::like::{Pattern, Steps};
use crate::limits::{EVALUATION_BYTES_MAX, EVALUATION_STEPS_MAX, STRING_BYTES_MAX};
use crate::sql::{Arithmetic, Comparison, Literal, Logic, Node, Type};
use crate::{Facts, Operand};

/// Evaluates to the end, and keeps every error.
pub(crate) fn evaluate<F: Facts + ?Sized>(node: &Node, facts: &F) -> Evaluation {
    let mut evaluator = Evaluator::new(facts, true);
    let outcome = evaluator.evaluate(node);
    let value = match outcome.value {
        Item::Boolean(truth) => Output::Boolean(truth),
        Item::Integer(integer) => Output::Integer(integer),
        Item::Text(text) => Output::String(text.into_owned()),
    };
    Evaluation { value, errors: evaluator.errors }
}

/// Whether the value is true without an error; stops at the first error.
pub(crate) fn holds<F: Facts + ?Sized>(node: &Node, facts: &F) -> bool {
    let outcome = Evaluator::new(facts, false).evaluate(node);
    !outcome.failed && outcome.value == Item::Boolean(true)
}

/// The value of what reads nothing of a message; none when there is an error.
pub(crate) fn constant(node: &Node) -> Option<Literal> {
    struct Nothing;
    impl Facts for Nothing {
        fn value(&self, _: &Operand) -> Option<wissel_message::Value<'_>> {
            None
        }
    }
    let outcome = Evaluator::new(&Nothing, false).evaluate(node);
    if outcome.failed { None } else { Some(outcome.value.to_literal()) }
}

struct Evaluator<'a, F: ?Sized> {
    facts: &'a F,
    /// Whether to go on after an error, and keep it.
    complete: bool,
    errors: Vec<EvaluationError>,
    made: Made,
    steps: Steps,
}

/// A value, and whether an error came with it.
struct Outcome<'a> {
    value: Item<'a>,
    failed: bool,
}

/// What a function is called with; nearly all take no more than three.
pub(crate) type Arguments<'a> = SmallVec<[Item<'a>; 3]>;

/// The strings made so far.
pub(crate) struct Made {
    left: usize,
}

impl Made {
    /// How many bytes may still be made.
    pub(crate) fn left(&self) -> usize {
        self.left.min(STRING_BYTES_MAX)
    }

    /// Takes a string that was made into account.
    pub(crate) fn text<'a>(&mut self, text: String) -> crate::functions::Returned<'a> {
        if text.len() > self.left() {
            let error = Some((ErrorKind::Generic, "strings larger than an evaluation may make"));
            return crate::functions::Returned { value: Item::zero(Type::String), error };
        }
        self.left -= text.len();
        Item::Text(Cow::Owned(text)).into()
    }
}

impl<'a> Outcome<'a> {
    fn zero(of: Type) -> Self {
        Self { value: Item::zero(of), failed: true }
    }
}

impl<'a> From<Item<'a>> for Outcome<'a> {
    fn from(value: Item<'a>) -> Self {
        Self { value, failed: false }
    }
}

impl<'a, F: Facts + ?Sized> Evaluator<'a, F> {
    fn new(facts: &'a F, complete: bool) -> Self {
        let made = Made { left: EVALUATION_BYTES_MAX };
        let steps = Steps(EVALUATION_STEPS_MAX);
        Self { facts, complete, errors: Vec::new(), made, steps }
    }

    fn evaluate(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Literal(literal) => Item::of_literal(literal).into(),
            Node::Read(operand) => self.read(operand),
            Node::Not(inner) => match self.boolean(inner) {
                Some(truth) => Item::Boolean(!truth).into(),
                None => Outcome::zero(Type::Boolean),
            },
            Node::Negate(inner) => match self.integer(inner) {
                Some(integer) => self.math(integer.checked_neg()),
                None => Outcome::zero(Type::Integer),
            },
            Node::Logic(first, rest) => self.logic(first, rest),
            Node::Compare(first, rest) => self.comparisons(first, rest),
            Node::Calculate(first, rest) => self.calculation(first, rest),
            Node::Like { text, pattern, negated } => self.like(text, pattern, *negated),
            Node::Exists(operand) => {
                let there = operand.is_required() || self.facts.value(operand).is_some();
                Item::Boolean(there).into()
            }
            Node::In { value, set, negated } => self.member(value, set, *negated),
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::CallOfNone(name, arguments) => {
                let message = || {
                    let count = arguments.len();
                    format!("there is no function {name} of {count} arguments").into()
                };
                self.fail(ErrorKind::MissingFunction, message, Type::Boolean)
            }
        }
    }

    fn read(&mut self, operand: &'a Operand) -> Outcome<'a> {
        if let Some(value) = self.facts.value(operand) {
            return Item::of_value(&value).into();
        }
        let message = || match operand {
            Operand::Attribute(name) => {
                format!("attribute {} is not there", show_attribute_name(name, 0)).into()
            }
            Operand::Data(_) => "a value in data is not there".into(),
        };
        // What the type would be is not known: "the engine MUST assume a return type
        // of Boolean".
        self.fail(ErrorKind::MissingAttribute, message, Type::Boolean)
    }

    /// A chain of `AND`, `OR` and `XOR`, which have one precedence.
    fn logic(&mut self, first: &'a Node, rest: &'a [(Logic, Node)]) -> Outcome<'a> {
        let first = self.boolean(first);
        let (mut truth, mut failed) = (first.unwrap_or(false), first.is_none());
        for (operator, part) in rest {
            if failed && !self.complete {
                break;
            }
            match (operator, truth) {
                (Logic::And, false) | (Logic::Or, true) => continue,
                _ => {}
            }
            let right = self.boolean(part);
            failed |= right.is_none();
            let right = right.unwrap_or(false);
            truth = !failed
                && match operator {
                    Logic::And | Logic::Or => right,
                    Logic::Xor => truth != right,
                };
        }
        Outcome { value: Item::Boolean(truth), failed }
    }

    fn comparisons(&mut self, first: &'a Node, rest: &'a [(Comparison, Node)]) -> Outcome<'a> {
        let mut left = self.evaluate(first);
        for (operator, part) in rest {
            if left.failed && !self.complete {
                break;
            }
            let right = self.evaluate(part);
            left = match left.failed || right.failed {
                true => Outcome::zero(Type::Boolean),
                false => self.compare(&left.value, *operator, &right.value),
            };
        }
        if left.failed { Outcome::zero(Type::Boolean) } else { left }
    }

    /// `=` casts the left operand to the type of the right one; order is of Integers.
    fn compare(&mut self, left: &Item<'_>, operator: Comparison, right: &Item<'_>) -> Outcome<'a> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let truth = match operator {
            Equal => equal(left, right),
            NotEqual => equal(left, right).map(|truth| !truth),
            Less | LessOrEqual | Greater | GreaterOrEqual => {
                left.to_integer().zip(right.to_integer()).map(|(left, right)| match operator {
                    Less => left < right,
                    LessOrEqual => left <= right,
                    Greater => left > right,
                    _ => left >= right,
                })
            }
        };
        match truth {
            Some(truth) => Item::Boolean(truth).into(),
            None => self.fail_cast(Type::Boolean),
        }
    }

    fn calculation(&mut self, first: &'a Node, rest: &'a [(Arithmetic, Node)]) -> Outcome<'a> {
        let mut total = self.integer(first);
        for (operator, part) in rest {
            if total.is_none() && !self.complete {
                break;
            }
            let right = self.integer(part);
            total = match total.zip(right) {
                Some((left, right)) => {
                    let outcome = self.math(calculate(left, *operator, right));
                    if outcome.failed { None } else { outcome.value.to_integer() }
                }
                None => None,
            };
        }
        match total {
            Some(total) => Item::Integer(total).into(),
            None => Outcome::zero(Type::Integer),
        }
    }

    fn like(&mut self, text: &'a Node, pattern: &Pattern, negated: bool) -> Outcome<'a> {
        let text = self.evaluate(text);
        if text.failed {
            return Outcome::zero(Type::Boolean);
        }
        match text.value.with_text(|text| pattern.matches(text, &mut self.steps)) {
            Ok(truth) => Item::Boolean(truth != negated).into(),
            Err(_) => {
                let message = || "LIKE takes more steps than an evaluation may".into();
                self.fail(ErrorKind::Generic, message, Type::Boolean)
            }
        }
    }

    /// `IN` casts each element to the type of the value. Only `AND` and `OR` leave
    /// operands out, so an error of any element is an error of the whole.
    fn member(&mut self, value: &'a Node, set: &'a [Node], negated: bool) -> Outcome<'a> {
        let value = self.evaluate(value);
        let (mut found, mut failed) = (false, value.failed);
        for element in set {
            if failed && !self.complete {
                break;
            }
            let element = self.evaluate(element);
            if element.failed || value.failed {
                failed = true;
                continue;
            }
            match equal(&element.value, &value.value) {
                Some(same) => found |= same,
                None => failed |= self.fail_cast(Type::Boolean).failed,
            }
        }
        if failed {
            return Outcome::zero(Type::Boolean);
        }
        Item::Boolean(found != negated).into()
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Outcome<'a> {
        let mut items = Arguments::new();
        let mut failed = false;
        for (place, argument) in arguments.iter().enumerate() {
            if failed && !self.complete {
                break;
            }
            let outcome = self.evaluate(argument);
            if outcome.failed {
                failed = true;
                continue;
            }
            match cast(outcome.value, function.parameter(place)) {
                Some(item) => items.push(item),
                None => failed |= self.fail_cast(function.returns()).failed,
            }
        }
        if failed {
            return Outcome::zero(function.returns());
        }
        let returned = function.call(items, &mut self.made);
        match returned.error {
            None => returned.value.into(),
            Some((kind, message)) => {
                self.fail(kind, || message.into(), function.returns());
                Outcome { value: returned.value, failed: true }
            }
        }
    }

    /// The value of an operand as Boolean; none when there is an error.
    fn boolean(&mut self, node: &'a Node) -> Option<bool> {
        let outcome = self.evaluate(node);
        if outcome.failed {
            return None;
        }
        let truth = outcome.value.to_boolean();
        if truth.is_none() {
            self.fail_cast(Type::Boolean);
        }
        truth
    }

    /// The value of an operand as Integer; none when there is an error.
    fn integer(&mut self, node: &'a Node) -> Option<i32> {
        let outcome = self.evaluate(node);
        if outcome.failed {
            return None;
        }
        let integer = outcome.value.to_integer();
        if integer.is_none() {
            self.fail_cast(Type::Integer);
        }
        integer
    }

    /// Section 3.5.2 has an error for a result out of range; the kit for a division by
    /// zero. Both give 0.
    fn math(&mut self, result: Option<i32>) -> Outcome<'a> {
        match result {
            Some(integer) => Item::Integer(integer).into(),
            None => {
                let message = || "a division by zero, or a result out of range".into();
                self.fail(ErrorKind::Math, message, Type::Integer)
            }
        }
    }

    fn fail_cast(&mut self, zero: Type) -> Outcome<'a> {
        let message = || "a value cannot be cast to the type that is needed".into();
        self.fail(ErrorKind::Cast, message, zero)
    }

    fn fail(
        &mut self,
        kind: ErrorKind,
        message: impl FnOnce() -> Cow<'static, str>,
        zero: Type,
    ) -> Outcome<'a> {
        if self.complete {
            self.errors.push(EvaluationError { kind, message: message() });
        }
        Outcome::zero(zero)
    }
}

/// Whether two values are equal, the left one cast to the type of the right one.
fn equal(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    match right {
        Item::Boolean(right) => left.to_boolean().map(|left| left == *right),
        Item::Integer(right) => left.to_integer().map(|left| left == *right),
        Item::Text(right) => Some(left.with_text(|left| left == right)),
    }
}

fn cast(item: Item<'_>, to: Option<Type>) -> Option<Item<'_>> {
    match to {
        None => Some(item),
        Some(Type::Boolean) => item.to_boolean().map(Item::Boolean),
        Some(Type::Integer) => item.to_integer().map(Item::Integer),
        Some(Type::String) => Some(Item::Text(item.into_text())),
    }
}

/// None for a division by zero, and for a result out of range.
fn calculate(left: i32, operator: Arithmetic, right: i32) -> Option<i32> {
    match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        // Of the lowest integer and -1 the remainder is 0, though the quotient is out
        // of range.
        Arithmetic::Remainder if right == 0 => None,
        Arithmetic::Remainder => Some(left.wrapping_rem(right)),
    }
}
