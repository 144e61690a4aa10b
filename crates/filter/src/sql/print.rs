use super::token::{Kind, Tokens};
use super::tree::{Binary, Literal, Node};
use crate::Operand;

/// How tight a part binds; a looser one inside a tighter one gets parentheses.
const CHAIN: u8 = 0;
const TEST: u8 = 5;
const SIGNED: u8 = 6;
const PRIMARY: u8 = 7;

/// The text of an expression. Reading it gives the same expression.
pub(crate) fn print(node: &Node) -> String {
    let mut text = String::new();
    write(node, CHAIN, &mut text);
    text
}

fn write(node: &Node, at_least: u8, text: &mut String) {
    if binds(node) < at_least {
        text.push('(');
        write(node, CHAIN, text);
        text.push(')');
        return;
    }
    match node {
        Node::Literal(literal) => write_literal(literal, text),
        Node::Read(Operand::Attribute(name)) => text.push_str(name),
        Node::Read(Operand::Data(pointer)) => write_call("DATA", pointer, text),
        Node::Exists(Operand::Data(pointer)) => write_call("HAS_DATA", pointer, text),
        Node::Exists(Operand::Attribute(name)) => {
            text.push_str("EXISTS ");
            text.push_str(name);
        }
        Node::Not(inner) => {
            text.push_str("NOT ");
            write(inner, SIGNED, text);
        }
        Node::Negate(inner) => {
            text.push('-');
            // `-5` would be a literal.
            let apart = matches!(**inner, Node::Literal(Literal::Integer(_)));
            write(inner, if apart { PRIMARY + 1 } else { SIGNED }, text);
        }
        Node::Logic(first, rest) => chain(node, first, rest, Binary::Logic, text),
        Node::Compare(first, rest) => chain(node, first, rest, Binary::Compare, text),
        Node::Calculate(first, rest) => chain(node, first, rest, Binary::Calculate, text),
        Node::Like { text: left, pattern, negated } => {
            write(left, TEST, text);
            text.push_str(if *negated { " NOT LIKE " } else { " LIKE " });
            text.push_str(&quote(pattern.source()));
        }
        Node::In { value, set, negated } => {
            write(value, TEST, text);
            text.push_str(if *negated { " NOT IN (" } else { " IN (" });
            list(set, text);
        }
        Node::Call(function, arguments) => {
            text.push_str(function.name());
            text.push('(');
            list(arguments, text);
        }
        Node::CallOfNone(name, arguments) => {
            text.push_str(name);
            text.push('(');
            list(arguments, text);
        }
    }
}

fn binds(node: &Node) -> u8 {
    match node {
        Node::Logic(..) => 1,
        Node::Compare(..) => 2,
        Node::Calculate(_, rest) => {
            rest.first().map_or(3, |(operator, _)| Binary::Calculate(*operator).precedence())
        }
        Node::Like { .. } | Node::In { .. } => TEST,
        Node::Not(_) | Node::Negate(_) => SIGNED,
        _ => PRIMARY,
    }
}

fn chain<O: Copy>(
    node: &Node,
    first: &Node,
    rest: &[(O, Node)],
    operator: impl Fn(O) -> Binary,
    text: &mut String,
) {
    let level = binds(node);
    write(first, level + 1, text);
    for (between, part) in rest {
        text.push(' ');
        text.push_str(operator(*between).symbol());
        text.push(' ');
        write(part, level + 1, text);
    }
}

fn list(nodes: &[Node], text: &mut String) {
    for (place, node) in nodes.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        write(node, CHAIN, text);
    }
    text.push(')');
}

fn write_literal(literal: &Literal, text: &mut String) {
    match literal {
        Literal::Boolean(true) => text.push_str("TRUE"),
        Literal::Boolean(false) => text.push_str("FALSE"),
        Literal::Integer(integer) => text.push_str(&integer.to_string()),
        Literal::String(string) => text.push_str(&quote(string)),
    }
}

fn write_call(function: &str, pointer: &str, text: &mut String) {
    text.push_str(function);
    text.push('(');
    text.push_str(&quote(pointer));
    text.push(')');
}

/// A string literal. Which quotes can hold a string depends on the backslashes in it.
fn quote(string: &str) -> String {
    let with = |quote: char| {
        let escaped = string.replace(quote, &format!("\\{quote}"));
        format!("{quote}{escaped}{quote}")
    };
    let single = with('\'');
    let reads_back = |literal: &str| {
        let token = Tokens::new(literal).next();
        token.is_ok_and(|token| {
            token.end == literal.len() && token.kind == Kind::Text(string.to_owned())
        })
    };
    if reads_back(&single) { single } else { with('"') }
}
