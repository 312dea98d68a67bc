-- A ticket that is closed because the customer could not be reached has no verdict: what asked for one is taken back for a
-- reason of its own (T-09, T-13).

ALTER TABLE invitation
    DROP CONSTRAINT invitation_revoke_reason_check,
    ADD CONSTRAINT invitation_revoke_reason_check CHECK (
        revoke_reason IN ('staff', 'verdict_given', 'closed_without_verdict', 'ticket_cancelled', 'do_not_contact'));
