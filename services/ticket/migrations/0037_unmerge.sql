-- What else stands on record of merges (T-04). Nothing changes but what the column says of itself.

COMMENT ON COLUMN ticket_merge.promises IS
    'The promises of the source that bind the target: [{"rule": …, "cycle": …, "round": …, "replaced": … or null, "replaced_rule": '
    '…}]. "replaced" is the round of the target''s promise in whose place it came, by the same rule unless "replaced_rule" names '
    'another. Written again where another merge into the target is undone: it then says what has become of the promise.';
COMMENT ON COLUMN ticket_link.recipient IS
    'How the child''s customer is reached; null: as the last message on the child was. Taken away when the child turns out to be '
    'somebody else''s.';
