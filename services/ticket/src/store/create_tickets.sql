-- Registers many tickets with all that belongs to them, in one statement and so in one commit: the claims of their
-- request ids, their numbers, the tickets, their clocks, the journal with the public event.
--
-- An entry is left out, and consumes nothing, if
--   * what its caller had in memory was stale: the policies, or the customer's standings;
--   * its org unit has no counter for that year yet;
--   * its request id was used before. No two entries of one call may have the same one.
-- Whoever calls learns from the answer which entries were registered and finds out about the rest.
--
-- Concurrent calls lock the claims first and then the counters, each in order, so that they cannot lock each other out.
--
-- The number is known only here, so it is put behind the serialised event as one more occurrence of its fields, which a
-- protobuf parser merges with the ones before: `ticket` (1) with `number` (2), whose text is shorter than 124 bytes.
WITH entry AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::text[], $8::text[],
        $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::uuid[], $14::text[], $15::text[], $16::text[],
        $17::text[], $18::text[], $19::text[], $20::smallint[], $21::timestamptz[], $22::text[], $23::text[],
        $24::smallint[], $25::uuid[], $26::timestamptz[], $27::uuid[], $28::text[], $29::text[], $30::text[],
        $31::text[], $32::bytea[], $43::timestamptz[])
        WITH ORDINALITY AS entry (
        id, org_unit, year, policy_seq, customer_id, customer_stamp, caller, request_id,
        fingerprint, response, kind, channel, contact_id, complainant, subject, description,
        category, product, tags, severity, occurred_at, priority, customer_grade,
        receiver_level, policy_version_id, created_at, event_id, actor_org_unit, origin, traceparent,
        after, event, attend_at, place)
),
ready AS (
    SELECT entry.caller, entry.request_id, entry.fingerprint, entry.response
    FROM entry
    JOIN number_counter AS counter ON counter.org_unit = entry.org_unit AND counter.year = entry.year
    LEFT JOIN customer_copy AS customer ON customer.id = entry.customer_id
    WHERE entry.policy_seq = (SELECT coalesce(max(seq), 0) FROM policy_version)
      AND customer.stamp IS NOT DISTINCT FROM entry.customer_stamp
    ORDER BY entry.caller, entry.request_id
),
claimed AS (
    INSERT INTO request (caller, request_id, method, fingerprint, response)
    SELECT caller, request_id, $33, fingerprint, response FROM ready
    ON CONFLICT (caller, request_id) DO NOTHING
    RETURNING caller, request_id
),
taken AS (
    SELECT entry.org_unit, entry.year, count(*) AS amount
    FROM claimed JOIN entry USING (caller, request_id)
    GROUP BY entry.org_unit, entry.year
),
locked AS MATERIALIZED (
    SELECT counter.org_unit, counter.year, taken.amount
    FROM taken JOIN number_counter AS counter USING (org_unit, year)
    ORDER BY counter.org_unit, counter.year
    FOR UPDATE OF counter
),
counted AS (
    UPDATE number_counter AS counter SET last_number = counter.last_number + locked.amount
    FROM locked
    WHERE counter.org_unit = locked.org_unit AND counter.year = locked.year
    RETURNING counter.org_unit, counter.year, counter.label, counter.last_number - locked.amount AS before
),
counting AS (
    SELECT entry.*, counted.label,
           (counted.before + row_number() OVER (PARTITION BY entry.org_unit, entry.year ORDER BY entry.place))::text AS count
    FROM claimed JOIN entry USING (caller, request_id) JOIN counted USING (org_unit, year)
),
numbered AS MATERIALIZED (
    SELECT *, 'T-' || year || '-' || label || '-' || lpad(count, greatest(6, length(count)), '0') AS number FROM counting
),
ticketed AS (
    INSERT INTO ticket (
        id, number, revision, policy_version_id, org_unit, kind, channel, customer_id, contact_id, complainant, severity,
        occurred_at, subject, description, category, product, tags, customer_grade, priority, first_contact_owner,
        receiver_level, cycle, cycle_started_at, state, created_at, updated_at, attend_at)
    SELECT id, number, 1, policy_version_id, org_unit, kind, channel, customer_id, contact_id, complainant, severity,
           occurred_at, subject, description, category, product, string_to_array(tags, E'\n'), customer_grade, priority, caller,
           receiver_level, 1, created_at, 'registered', created_at, created_at, attend_at
    FROM numbered
),
clocked AS (
    INSERT INTO ticket_clock (
        ticket_id, cycle, rule, position, customer_id, kind, state, started_at, due_at, warn_at, next_fire_at, steps)
    SELECT numbered.id, 1, clock.rule, clock.position, numbered.customer_id, clock.kind, 'running', numbered.created_at,
           clock.due_at, clock.warn_at, clock.next_fire_at, clock.steps
    FROM unnest($34::uuid[], $35::text[], $36::smallint[], $37::text[], $38::timestamptz[], $39::timestamptz[],
                $40::timestamptz[], $42::jsonb[])
        AS clock (ticket_id, rule, position, kind, due_at, warn_at, next_fire_at, steps)
    JOIN numbered ON numbered.id = clock.ticket_id
),
journaled AS (
    INSERT INTO journal (
        event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id,
        revision, action, org_unit, customer_id, after, event_type, event)
    SELECT event_id, created_at, caller, actor_org_unit, origin, request_id, traceparent, 'ticket', id,
           1, 'CreateTicket', org_unit, customer_id, after::jsonb || jsonb_build_object('number', number), $41,
           event || set_byte(set_byte('\x0a001200', 1, length(number) + 2), 3, length(number))
                 || convert_to(number, 'UTF8')
    FROM numbered
    ORDER BY place
)
SELECT id AS "id!", number AS "number!" FROM numbered
