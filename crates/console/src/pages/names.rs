//! Names that are long, and where they may be parted when there is no room.

use maud::{Markup, html};

/// A name, parted before its first dot: that of an inbox or a subscription behind the OIN of its
/// owner.
pub(super) fn parted(name: &str) -> Markup {
    let (owner, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
    html! { (owner) wbr; (rest) }
}

/// The name of an event type, which is parted before each of its dots.
pub(super) fn dotted(name: &str) -> Markup {
    html! {
        @for (place, part) in name.split('.').enumerate() {
            @if place > 0 { wbr; "." }
            (part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parted_between_its_parts_and_stays_the_same() {
        let plain = |markup: Markup| markup.into_string().replace("<wbr>", "");
        assert_eq!(dotted("nl.brp.<x>").into_string(), "nl<wbr>.brp<wbr>.&lt;x&gt;");
        assert_eq!(plain(dotted("nl.brp.geboorte")), "nl.brp.geboorte");
        assert_eq!(parted("0001.in.box").into_string(), "0001<wbr>.in.box");
        assert_eq!(plain(parted("none")), "none");
    }
}
