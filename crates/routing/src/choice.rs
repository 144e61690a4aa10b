use wissel_filter::Condition;

use crate::entry::Scope;
use crate::plan::{Spot, Way};
use crate::table::Table;

/// The way that was chosen.
pub(crate) struct Chosen {
    pub(crate) way: Way,
    pub(crate) scopes: Vec<Scope>,
    /// Whether the scopes are those of the types wanted.
    pub(crate) says_type: bool,
}

impl Chosen {
    /// The conditions that the places do not say all of.
    pub(crate) fn left(&self, conditions: Vec<Condition>) -> Vec<Condition> {
        let conditions = conditions.into_iter().enumerate();
        let left = conditions.filter(|(number, _)| !self.way.said.contains(number));
        left.map(|(_, condition)| condition).collect()
    }
}

/// Chooses where to file what asks for all of the conditions: the most telling of what is
/// not crowded; else by two together; else where there are fewest.
pub(crate) fn choose<T: Clone>(
    table: &Table<T>,
    conditions: &[Condition],
    types: Option<&[Scope]>,
) -> Chosen {
    /// From here on a place is worth avoiding.
    const CROWDED: usize = 8;
    let in_scopes = |way: Way| {
        let (scopes, says_type) = scopes_for(&way, types);
        Chosen { way, scopes, says_type }
    };
    let mut best: Option<(usize, Chosen)> = None;
    for way in Way::all(conditions) {
        let chosen = in_scopes(way);
        if chosen.way.reads_data() && !chosen.says_type {
            // Every message of whatever type would have to be read.
            continue;
        }
        let load = table.load(&chosen.scopes, &chosen.way.spots);
        if load < CROWDED {
            return chosen;
        }
        if best.as_ref().is_none_or(|(least, _)| load < *least) {
            best = Some((load, chosen));
        }
    }
    match best {
        Some((load, chosen)) if load < usize::MAX => chosen,
        _ => in_scopes(Way::by_type()),
    }
}

fn scopes_for(way: &Way, types: Option<&[Scope]>) -> (Vec<Scope>, bool) {
    /// The most places for the sake of filing by type as well.
    const PLACES: usize = 16;
    let Some(types) = types else { return (vec![None], false) };
    let by_type_alone = matches!(way.spots.as_slice(), [Spot::Values(values)] if values.is_empty());
    if by_type_alone || types.len() * way.spots.len() <= PLACES || types.len() == 1 {
        (types.to_vec(), true)
    } else {
        (vec![None], false)
    }
}
