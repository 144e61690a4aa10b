use super::tree::{Literal, Logic, Node};
use crate::evaluate::constant;

/// The expression with every part that reads nothing of the message replaced by its
/// value. A part with an error stays: it gives that error each time.
pub(crate) fn fold(node: &Node) -> Node {
    let folded = match node {
        Node::Literal(_) | Node::Read(_) => return node.clone(),
        Node::Exists(operand) if operand.is_required() => {
            return Node::Literal(Literal::Boolean(true));
        }
        Node::Exists(_) => return node.clone(),
        Node::Not(inner) => Node::Not(Box::new(fold(inner))),
        Node::Negate(inner) => Node::Negate(Box::new(fold(inner))),
        Node::Logic(first, rest) => Node::Logic(Box::new(fold(first)), pairs(rest)),
        Node::Compare(first, rest) => Node::Compare(Box::new(fold(first)), pairs(rest)),
        Node::Calculate(first, rest) => Node::Calculate(Box::new(fold(first)), pairs(rest)),
        Node::Like { text, pattern, negated } => {
            let text = Box::new(fold(text));
            Node::Like { text, pattern: pattern.clone(), negated: *negated }
        }
        Node::In { value, set, negated } => {
            let (value, set) = (Box::new(fold(value)), set.iter().map(fold).collect());
            Node::In { value, set, negated: *negated }
        }
        Node::Call(function, arguments) => {
            Node::Call(*function, arguments.iter().map(fold).collect())
        }
        Node::CallOfNone(..) => return node.clone(),
    };
    match (is_constant(&folded), folded) {
        (true, folded) => constant(&folded).map_or(folded, Node::Literal),
        (false, Node::Logic(first, rest)) => logic(*first, rest),
        (false, folded) => folded,
    }
}

fn pairs<O: Copy>(rest: &[(O, Node)]) -> Vec<(O, Node)> {
    rest.iter().map(|(operator, part)| (*operator, fold(part))).collect()
}

/// Whether every part of it is a literal: the parts were folded first.
fn is_constant(node: &Node) -> bool {
    let mut literals = true;
    node.each_child(&mut |child| literals &= matches!(child, Node::Literal(_)));
    literals
}

/// Leaves out the start of a chain that is decided without the message.
fn logic(first: Node, rest: Vec<(Logic, Node)>) -> Node {
    let mut first = first;
    let mut rest = rest.into_iter().peekable();
    while let Node::Literal(literal) = &first
        && let Some(truth) = crate::cast::Item::of_literal(literal).to_boolean()
        && let Some((operator, right)) = rest.peek()
    {
        let decided = match (operator, truth, right) {
            (Logic::And, false, _) | (Logic::Or, true, _) => truth,
            (operator, truth, Node::Literal(right)) => {
                let Some(right) = crate::cast::Item::of_literal(right).to_boolean() else { break };
                match operator {
                    Logic::And | Logic::Or => right,
                    Logic::Xor => truth != right,
                }
            }
            _ => break,
        };
        first = Node::Literal(Literal::Boolean(decided));
        rest.next();
    }
    let rest: Vec<_> = rest.collect();
    if rest.is_empty() { first } else { Node::Logic(Box::new(first), rest) }
}
