-- Entries of the ledger. Each ticket's are written in the order of their place, so that what an ended cycle leaves has ended
-- before the same rule promises again.
INSERT INTO ticket_clock (
    ticket_id, customer_id, rule, cycle, position, kind, state, started_at, pauses, due_at, warn_at, warned_at, breached_at,
    fulfilled_at, fulfilled_by, recorded_at, cancelled_at, next_fire_at, round, steps, announcements, revisions,
    policy_version_id, eras, answerable)
SELECT ticket_id, customer_id, rule, cycle, position, kind, state, started_at, pauses, due_at, warn_at, warned_at, breached_at,
       fulfilled_at, fulfilled_by, recorded_at, cancelled_at, next_fire_at, round, steps, announcements, revisions,
       policy_version_id, eras, answerable
FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::smallint[], $6::text[], $7::text[], $8::timestamptz[], $9::jsonb[],
    $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[],
    $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::smallint[], $20::jsonb[], $21::jsonb[], $22::jsonb[], $23::uuid[],
    $24::jsonb[], $25::text[])
    AS clock (
    ticket_id, customer_id, rule, cycle, position, kind, state, started_at, pauses, due_at, warn_at, warned_at, breached_at,
    fulfilled_at, fulfilled_by, recorded_at, cancelled_at, next_fire_at, round, steps, announcements, revisions,
    policy_version_id, eras, answerable)
ORDER BY ticket_id, position
ON CONFLICT (ticket_id, cycle, rule, round) DO UPDATE SET
    state = excluded.state, pauses = excluded.pauses, due_at = excluded.due_at, warn_at = excluded.warn_at,
    warned_at = excluded.warned_at, breached_at = excluded.breached_at, fulfilled_at = excluded.fulfilled_at,
    fulfilled_by = excluded.fulfilled_by, recorded_at = excluded.recorded_at, cancelled_at = excluded.cancelled_at,
    next_fire_at = excluded.next_fire_at, steps = excluded.steps, announcements = excluded.announcements,
    revisions = excluded.revisions, answerable = excluded.answerable
