//! How many of something there are, in words.

use std::fmt::Display;

/// `1 party`, `2 parties`.
pub(crate) fn amount<N>(count: N, one: &str, several: &str) -> String
where
    N: Copy + Display + PartialEq + From<u8>,
{
    if count == N::from(1) { format!("1 {one}") } else { format!("{count} {several}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let told = [0_usize, 1, 2].map(|count| amount(count, "message", "messages"));
        assert_eq!(told, ["0 messages", "1 message", "2 messages"]);
        assert_eq!(amount(1_u64, "party", "parties"), "1 party");
    }
}
