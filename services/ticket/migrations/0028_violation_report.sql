-- Two reports about two work orders of one ticket are two reports (T-19).
DROP INDEX violation_report_key;
CREATE UNIQUE INDEX violation_report_key
    ON violation (
        org_unit, staff, code, proposed_at,
        coalesce(work_order_id, ticket_id, '00000000-0000-0000-0000-000000000000'::uuid))
    WHERE reporter IS NOT NULL AND state NOT IN ('dismissed', 'overturned');
