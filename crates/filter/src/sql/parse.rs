//! CESQL 1.0.0, sections 2 and 3.6.
//!
//! Operators wait on a stack of their own, so that only parentheses, calls and sets are
//! read by recursion, to a depth that is checked first.

use std::borrow::Cow;

use wissel_message::check_attribute_name;

use super::error::ParseError;
use super::token::{Kind, Token, Tokens};
use super::tree::{Arithmetic, Binary, Literal, Node};
use crate::Operand;
use crate::data::check_pointer;
use crate::functions::Function;
use crate::like::Pattern;
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX};

const OPERAND: &str = "a literal, an attribute, a function, `NOT`, `EXISTS`, `-` or `(`";

pub(crate) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let found = format!("an expression of {} bytes", text.len());
        let expected = format!("at most {EXPRESSION_BYTES_MAX} bytes");
        return Err(ParseError::new(text, 0, found, expected));
    }
    let mut tokens = Tokens::new(text);
    let next = tokens.next()?;
    let mut parser = Parser { tokens, next, nodes: 0, level: 0 };
    let whole = parser.expression()?;
    if parser.next.kind != Kind::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(whole.node)
}

struct Parser<'t> {
    tokens: Tokens<'t>,
    /// The token that is looked at.
    next: Token<'t>,
    nodes: usize,
    /// How many parentheses are open.
    level: usize,
}

/// A part, and how deep it nests.
struct Part {
    node: Node,
    depth: usize,
}

/// What a sign before an operand asks.
enum Prefix {
    Not,
    Negate,
}

impl<'t> Parser<'t> {
    fn expression(&mut self) -> Result<Part, ParseError> {
        let mut operands = vec![self.operand()?];
        let mut operators: Vec<Binary> = Vec::new();
        while let Kind::Binary(operator) = self.next.kind {
            while operators.last().is_some_and(|one| one.precedence() >= operator.precedence()) {
                self.reduce(&mut operands, &mut operators)?;
            }
            operators.push(operator);
            self.advance()?;
            operands.push(self.operand()?);
        }
        while !operators.is_empty() {
            self.reduce(&mut operands, &mut operators)?;
        }
        Ok(operands.pop().expect("one operand is always read"))
    }

    /// Makes one part of the last two.
    fn reduce(
        &mut self,
        operands: &mut Vec<Part>,
        operators: &mut Vec<Binary>,
    ) -> Result<(), ParseError> {
        let (Some(operator), Some(right), Some(left)) =
            (operators.pop(), operands.pop(), operands.pop())
        else {
            unreachable!("there is one operand more than there are operators")
        };
        let goes_on = matches!(
            (&left.node, operator),
            (Node::Logic(..), Binary::Logic(_))
                | (Node::Compare(..), Binary::Compare(_))
                | (Node::Calculate(..), Binary::Calculate(_))
        );
        let left_depth = if goes_on { left.depth } else { left.depth + 1 };
        let depth = left_depth.max(right.depth + 1);
        let node = Node::binary(left.node, operator, right.node);
        let part = self.part(node, depth)?;
        operands.push(part);
        Ok(())
    }

    /// An operand with the signs before it, and the `LIKE` and `IN` after it.
    fn operand(&mut self) -> Result<Part, ParseError> {
        let mut prefixes = Vec::new();
        let mut part = loop {
            if prefixes.len() > EXPRESSION_DEPTH_MAX {
                return Err(self.too_deep());
            }
            let Token { start, end, .. } = self.next;
            match self.next.kind {
                Kind::Not => {
                    self.advance()?;
                    prefixes.push(Prefix::Not);
                }
                // A sign directly before digits is part of the literal.
                Kind::Binary(Binary::Calculate(
                    sign @ (Arithmetic::Add | Arithmetic::Subtract),
                )) if sign == Arithmetic::Subtract || self.tokens.digit_follows(end) => {
                    self.advance()?;
                    match self.next.kind {
                        Kind::Digits(digits) if self.next.start == end => {
                            let sign = if sign == Arithmetic::Add { "+" } else { "-" };
                            break self.integer(sign, digits, start)?;
                        }
                        _ if sign == Arithmetic::Add => {
                            return Err(self.unexpected("digits after `+`"));
                        }
                        _ => prefixes.push(Prefix::Negate),
                    }
                }
                _ => break self.primary()?,
            }
        };
        for prefix in prefixes.into_iter().rev() {
            let inner = Box::new(part.node);
            let node = match prefix {
                Prefix::Not => Node::Not(inner),
                Prefix::Negate => Node::Negate(inner),
            };
            part = self.part(node, part.depth + 1)?;
        }
        self.tests(part)
    }

    /// `LIKE` and `IN` after an operand.
    fn tests(&mut self, mut part: Part) -> Result<Part, ParseError> {
        loop {
            let negated = self.next.kind == Kind::Not;
            if negated {
                self.advance()?;
            }
            match self.next.kind {
                Kind::Like => {
                    self.advance()?;
                    let Kind::Text(pattern) = &self.next.kind else {
                        return Err(self.unexpected("a string literal, the pattern"));
                    };
                    let pattern = Pattern::new(pattern).into();
                    self.advance()?;
                    let text = Box::new(part.node);
                    let node = Node::Like { text, pattern, negated };
                    part = self.part(node, part.depth + 1)?;
                }
                Kind::In => {
                    self.advance()?;
                    self.expect(&Kind::Open, "`(` and the elements of a set")?;
                    let (set, depth) = self.list("`,` or `)`")?;
                    let value = Box::new(part.node);
                    let node = Node::In { value, set, negated };
                    part = self.part(node, depth.max(part.depth) + 1)?;
                }
                _ if negated => return Err(self.unexpected("`LIKE` or `IN` after `NOT`")),
                _ => return Ok(part),
            }
        }
    }

    fn primary(&mut self) -> Result<Part, ParseError> {
        let start = self.next.start;
        match &mut self.next.kind {
            Kind::Digits(digits) => {
                let digits = *digits;
                self.integer("", digits, start)
            }
            Kind::Text(text) => {
                let text = std::mem::take(text);
                self.advance()?;
                self.leaf(Node::Literal(Literal::String(text.into())))
            }
            Kind::Name(name) => {
                let name = *name;
                self.named(name, start)
            }
            Kind::Exists => {
                self.advance()?;
                let Kind::Name(name) = self.next.kind else {
                    return Err(self.unexpected("an attribute"));
                };
                let operand = self.attribute(name, self.next.start)?;
                self.advance()?;
                self.leaf(Node::Exists(operand))
            }
            Kind::Open => {
                self.enter()?;
                self.advance()?;
                let inner = self.expression()?;
                self.level -= 1;
                self.expect(&Kind::Close, "an operator or `)`")?;
                Ok(inner)
            }
            _ => Err(self.unexpected(OPERAND)),
        }
    }

    /// What starts with a name: a boolean literal, a call or an attribute.
    fn named(&mut self, name: &'t str, start: usize) -> Result<Part, ParseError> {
        self.advance()?;
        if self.next.kind == Kind::Open {
            return self.call(name, start);
        }
        for truth in [true, false] {
            if name.eq_ignore_ascii_case(if truth { "true" } else { "false" }) {
                return self.leaf(Node::Literal(Literal::Boolean(truth)));
            }
        }
        let operand = self.attribute(name, start)?;
        self.leaf(Node::Read(operand))
    }

    fn call(&mut self, name: &str, start: usize) -> Result<Part, ParseError> {
        if !name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            || name.starts_with('_')
        {
            let expected = "a function's name: letters, and `_` between them";
            return Err(self.error_at(start, "a name", expected));
        }
        self.advance()?;
        let name = name.to_ascii_uppercase();
        if name == "DATA" || name == "HAS_DATA" {
            let operand = self.pointer()?;
            self.expect(&Kind::Close, "`)`: one JSON Pointer")?;
            let reads = name == "DATA";
            return self.leaf(if reads { Node::Read(operand) } else { Node::Exists(operand) });
        }
        let (arguments, depth) = if self.next.kind == Kind::Close {
            self.advance()?;
            (Vec::new(), 0)
        } else {
            self.list("`,` or `)`")?
        };
        let node = match Function::named(&name, arguments.len()) {
            Some(function) => Node::Call(function, arguments),
            None => Node::CallOfNone(name.into(), arguments),
        };
        self.part(node, depth + 1)
    }

    /// The argument of `DATA` and `HAS_DATA`.
    fn pointer(&mut self) -> Result<Operand, ParseError> {
        let expected = "a string literal that is a JSON Pointer, such as `'/adres/gemeente'`";
        let Kind::Text(pointer) = &self.next.kind else {
            return Err(self.unexpected(expected));
        };
        if let Err(expected) = check_pointer(pointer) {
            return Err(self.error_at(self.next.start, "another string", expected));
        }
        let operand = Operand::Data(pointer.as_str().into());
        self.advance()?;
        Ok(operand)
    }

    /// Expressions with `,` between them, and the `)` after.
    fn list(&mut self, expected: &'static str) -> Result<(Vec<Node>, usize), ParseError> {
        self.enter()?;
        let (mut list, mut depth) = (Vec::new(), 0);
        loop {
            let part = self.expression()?;
            depth = depth.max(part.depth);
            list.push(part.node);
            if self.next.kind != Kind::Comma {
                break;
            }
            self.advance()?;
        }
        self.level -= 1;
        self.expect(&Kind::Close, expected)?;
        Ok((list, depth))
    }

    fn attribute(&self, name: &str, start: usize) -> Result<Operand, ParseError> {
        match check_attribute_name(name) {
            Ok(()) => Ok(Operand::Attribute(name.into())),
            Err((found, expected)) => Err(self.error_at(start, found, expected)),
        }
    }

    /// An integer literal, of which the digits are the token that is looked at.
    fn integer(&mut self, sign: &str, digits: &str, start: usize) -> Result<Part, ParseError> {
        let Ok(integer) = format!("{sign}{digits}").parse() else {
            let expected = "an integer from -2147483648 to 2147483647";
            return Err(self.error_at(start, "a number out of range", expected));
        };
        self.advance()?;
        self.leaf(Node::Literal(Literal::Integer(integer)))
    }

    fn leaf(&mut self, node: Node) -> Result<Part, ParseError> {
        self.part(node, 1)
    }

    fn part(&mut self, node: Node, depth: usize) -> Result<Part, ParseError> {
        self.nodes += 1;
        if self.nodes > EXPRESSION_NODES_MAX {
            let expected = format!("at most {EXPRESSION_NODES_MAX} parts");
            return Err(self.error_at(self.next.start, "one part more", expected));
        }
        if depth > EXPRESSION_DEPTH_MAX {
            return Err(self.too_deep());
        }
        Ok(Part { node, depth })
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        self.level += 1;
        if self.level > EXPRESSION_DEPTH_MAX { Err(self.too_deep()) } else { Ok(()) }
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.next = self.tokens.next()?;
        Ok(())
    }

    fn expect(&mut self, kind: &Kind<'_>, expected: &'static str) -> Result<(), ParseError> {
        if self.next.kind == *kind { self.advance() } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        self.error_at(self.next.start, self.next.kind.describe(), expected)
    }

    fn too_deep(&self) -> ParseError {
        let found = "one level of nesting more";
        self.error_at(self.next.start, found, format!("at most {EXPRESSION_DEPTH_MAX} levels"))
    }

    fn error_at(
        &self,
        start: usize,
        found: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> ParseError {
        ParseError::new(self.tokens.text, start, found, expected)
    }
}
