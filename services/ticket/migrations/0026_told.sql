-- What the customer was really told (T-06, T-08, T-14), and what operators look at (T-26). As in 0001, nothing here names the
-- schema.

ALTER TABLE message
    DROP CONSTRAINT message_purpose_check,
    ADD CONSTRAINT message_purpose_check CHECK (purpose IN ('answer', 'result', 'delay', 'reminder'));

ALTER TABLE ticket ADD COLUMN outbound jsonb;
COMMENT ON COLUMN ticket.outbound IS
    'What became of what was said to the customer (T-14): {"undelivered": {"message", "delivery", "sent_at", "failed_at", '
    '"cancelled"}, "recipients": {adapter: recipient}}; each only where there is any, null where there is neither. '
    '"undelivered" is the latest message that was given up or cancelled, until the customer hears something; "recipients" says '
    'to whom the last message went by each adapter.';
COMMENT ON COLUMN ticket.follow_up IS
    'While it waits for a reason of the policy (T-06): {"reason": code, "remind_at", "reminded_at", "propose_at", '
    '"proposed_at": … or null, "recipient": … or null, "told": …}. "reminded_at" is when it was time; "told" says whether the '
    'customer was sent a reminder then, else to remind was for the staff.';

-- How much is parked, and what waits longest: asked every few seconds, for the operators.
CREATE INDEX delivery_parked_idx ON delivery (id) WHERE state = 'parked';
CREATE INDEX delivery_waiting_idx ON delivery (created_at) WHERE state = 'pending';
