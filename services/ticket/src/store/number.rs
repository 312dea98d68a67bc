//! Table `number_counter`.

use sqlx::PgPool;

use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;

/// The longest label; with year and count a number stays well below 124 characters (see `create_tickets.sql`).
const MAX_LABEL: usize = 100;
/// How many org units with the same path but for its length can be told apart.
const MAX_SUFFIX: u32 = 1_000;

/// Makes sure that an org unit has a counter for a year. Its label is the one of earlier years, or the shortest end of
/// its path that no other org unit has.
pub(crate) async fn ensure_counter(
    pool: &PgPool,
    org_unit: &OrgUnit,
    year: i16,
) -> Result<(), StoreError> {
    for label in labels(org_unit) {
        // A label of earlier years wins over the proposal; one that somebody else has is no proposal at all.
        sqlx::query!(
            "INSERT INTO number_counter (org_unit, year, label, last_number)
             SELECT $1, $2, label, 0
             FROM (SELECT coalesce(
                       (SELECT label FROM number_counter WHERE org_unit = $1 ORDER BY year DESC LIMIT 1), $3) AS label
                  ) AS chosen
             WHERE NOT EXISTS (
                 SELECT FROM number_counter AS other WHERE other.label = chosen.label AND other.org_unit <> $1)
             ON CONFLICT DO NOTHING",
            org_unit.as_str(),
            year,
            label,
        )
        .execute(pool)
        .await?;
        let exists = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM number_counter WHERE org_unit = $1 AND year = $2) AS "exists!""#,
            org_unit.as_str(),
            year,
        )
        .fetch_one(pool)
        .await?;
        if exists {
            return Ok(());
        }
    }
    Err(StoreError::Corrupt(format!("no label is left for {org_unit}")))
}

/// Labels for an org unit, best first: the end of its path, ever longer, then with a count.
fn labels(org_unit: &OrgUnit) -> impl Iterator<Item = String> {
    let segments: Vec<&str> = org_unit.segments().collect();
    let last = segments.last().copied().unwrap_or_default().to_owned();
    let ends: Vec<String> =
        (0..segments.len()).rev().map(|from| segments[from..].join("-")).collect();
    let counted = (2..MAX_SUFFIX).map(move |count| format!("{last}-{count}"));
    ends.into_iter().filter(|label| label.len() <= MAX_LABEL).chain(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t01_an_org_units_label_is_the_shortest_end_of_its_path() {
        let unit: OrgUnit = "group/north/riverside".parse().unwrap();
        let labels: Vec<_> = labels(&unit).take(4).collect();
        assert_eq!(
            labels,
            ["riverside", "north-riverside", "group-north-riverside", "riverside-2"]
        );
    }

    #[test]
    fn t01_a_label_is_never_too_long_for_a_number() {
        let path = vec!["x".repeat(63); 8].join("/");
        let unit: OrgUnit = path.parse().unwrap();
        assert!(labels(&unit).all(|label| label.len() <= MAX_LABEL));
    }
}
