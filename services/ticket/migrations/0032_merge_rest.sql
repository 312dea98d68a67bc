-- What else stands on record of merged tickets (T-04, T-13, T-14). Nothing changes but what the columns say of themselves: both are
-- objects in which what is not there never was.

COMMENT ON COLUMN ticket.links IS
    'What it has to do with other tickets, null for most: {"merged": {"into": …, "was": …}, "parent": …, "leads": true, '
    '"handlers": […]}. While it is merged, state_since, state_by and state_reason tell when, by whom and why, and "was" where it '
    'goes on. "handlers" are those in whose hands the tickets were that were merged into it in this cycle.';
COMMENT ON COLUMN ticket.outbound IS
    'What became of what was said to the customer (T-14): {"undelivered": {"message", "said_on", "delivery", "sent_at", '
    '"failed_at", "cancelled"}, "recipients": {adapter: recipient}}; each only where there is any, null where there is neither. '
    '"undelivered" is the latest message that was given up or cancelled, until the customer hears something, with the merged '
    'ticket on which it was said where it is not this one; "recipients" says to whom the last message went by each adapter.';
