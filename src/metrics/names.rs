//! What labels are called.

use crate::tags::Tag;

// In OpenTelemetry's conventions.
pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const MODEL: &str = "gen_ai.request.model";
pub(super) const ANSWERED_BY: &str = "gen_ai.response.model";
pub(super) const TOKEN_TYPE: &str = "gen_ai.token.type";
pub(super) const ERROR: &str = "error.type";
pub(super) const STATUS: &str = "http.response.status_code";

// Our own: each is in the list below.
pub(super) const ASKED: &str = "tower_quota.asked";
pub(super) const CAUSE: &str = "tower_quota.cause";
pub(super) const CHANGE: &str = "tower_quota.change";
pub(super) const HAS_ROOM: &str = "tower_quota.has_room";
pub(super) const KIND: &str = "tower_quota.kind";
pub(super) const LIMIT: &str = "tower_quota.limit";
pub(super) const OTHERS: &str = "tower_quota.others";
pub(super) const OUTCOME: &str = "tower_quota.outcome";
pub(super) const QUANTITY: &str = "tower_quota.quantity";

const OURS: [&str; 9] = [
    ASKED, CAUSE, CHANGE, HAS_ROOM, KIND, LIMIT, OTHERS, OUTCOME, QUANTITY,
];
/// What all of them begin with.
const PREFIX: &str = "tower_quota.";

/// The label of a caller's tag. No two labels of a series may have one name, so a tag that is called as a label of ours
/// has another, and so has one whose label would be that other.
pub(super) fn label_of(tag: &Tag) -> String {
    let plain = in_prometheus(tag.name());
    let rest = plain.trim_start_matches("tag_");
    let is_ours = |label: &&str| label.strip_prefix(PREFIX) == Some(rest);
    match OURS.iter().any(is_ours) {
        true => format!("{PREFIX}tag.{tag}"),
        false => format!("{PREFIX}{tag}"),
    }
}

/// Where labels have hardly any other characters, so that more names are one.
fn in_prometheus(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric() && c != ':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_called_as_a_label_of_ours_has_another() {
        for (tag, label) in [
            ("team", "tower_quota.team"),
            ("tenant.id", "tower_quota.tenant.id"),
            ("kinds", "tower_quota.kinds"),
            ("tag_line", "tower_quota.tag_line"),
            ("kind", "tower_quota.tag.kind"),
            ("limit", "tower_quota.tag.limit"),
            ("has.room", "tower_quota.tag.has.room"),
            ("has-room", "tower_quota.tag.has-room"),
            // Else it would be that of `kind`.
            ("tag.kind", "tower_quota.tag.tag.kind"),
            ("tag_tag_kind", "tower_quota.tag.tag_tag_kind"),
        ] {
            assert_eq!(label_of(&Tag::from(tag)), label);
        }
        for ours in OURS {
            let name = ours.strip_prefix(PREFIX).unwrap();
            assert_ne!(label_of(&Tag::from(name)), ours);
        }
    }
}
