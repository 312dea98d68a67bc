-- Tickets $1 to $2 of $3 in all, spread over the two years before $4, in turn over the org units $5, under the policy version
-- $6. The last three in a hundred are open and so is one in two hundred of the others. The same numbers make the same tickets.
WITH number AS (
    SELECT n, $4::text::timestamptz - ($3::bigint - n) * (interval '730 days' / $3::bigint::double precision) AS created_at,
           ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
           hashint8(n) & 2147483647 AS die,
           ($5::text[])[1 + n % cardinality($5::text[])] AS org_unit,
           n > $3::bigint * 97 / 100 OR n % 200 = 0 AS is_open
    FROM generate_series($1::bigint, $2::bigint) AS n
),
written AS (
    SELECT *,
           CASE WHEN NOT is_open THEN CASE WHEN die % 20 = 0 THEN 'cancelled' ELSE 'closed' END
                WHEN die % 3 = 0 THEN 'registered' ELSE 'in_progress' END AS state,
           (ARRAY['客厅天花板', '地下车库', '电梯轿厢', '厨房下水道', '小区大门', '外墙保温层', '楼道照明', '消防通道', '热水管道',
                  '中央空调', '门禁系统', '绿化草坪'])[1 + die % 12] AS place,
           (ARRAY['漏水', '异响', '停电', '堵塞', '开裂', '脱落', '积水', '无人维修', '收费有误', '服务态度差', '噪音扰民', '设备老化',
                  '异味严重', '温度过低', '无法使用'])[1 + die / 12 % 15] AS trouble
    FROM number
),
registered AS (
    INSERT INTO ticket (
        id, number, revision, policy_version_id, org_unit, kind, channel, complainant, severity, subject, description, category,
        product, tags, priority, first_contact_owner, handler, cycle_handlers, receiver_level, cycle, cycle_started_at, state,
        state_since, state_by, state_reason, solution, solved_by, solved_at, first_responded_at, first_resolved_at, created_at,
        updated_at)
    SELECT id, 'G-' || n, 4, $6::uuid, org_unit, (ARRAY['complaint', 'inquiry', 'request', 'suggestion'])[1 + die % 4], 'phone',
           '业主' || n, 1 + die % 3, place || trouble || '，编号' || n,
           '业主来电反映' || place || trouble || '，已经持续' || 1 + die % 30 || '天，要求尽快上门处理并给出书面答复。联系栋号'
               || 1 + die % 60 || '栋' || 100 + die % 3000 || '室。',
           (ARRAY['质量/漏水', '质量/设备', '服务/态度', '服务/收费'])[1 + die % 4], '水泵' || die % 50, ARRAY['tag' || die % 9],
           (ARRAY['low', 'normal', 'normal', 'high', 'urgent'])[1 + die % 5], 'clerk-' || die % 300,
           CASE WHEN state <> 'registered' THEN 'handler-' || die % 500 END, '{}', 1, 1, created_at, state,
           CASE WHEN state <> 'registered' THEN created_at + interval '2 days' END,
           CASE WHEN state = 'cancelled' THEN 'manager' END, CASE WHEN state = 'cancelled' THEN '重复' END,
           CASE WHEN state = 'closed' THEN '已更换' || place || '配件' END, CASE WHEN state = 'closed' THEN 'handler-' || die % 500 END,
           CASE WHEN state = 'closed' THEN created_at + interval '2 days' END, created_at + interval '3 hours',
           CASE WHEN state = 'closed' THEN created_at + interval '2 days' END, created_at, created_at + interval '2 days'
    FROM written
),
promised AS (
    INSERT INTO ticket_clock (
        ticket_id, cycle, rule, position, kind, state, started_at, due_at, fulfilled_at, fulfilled_by, recorded_at, cancelled_at)
    SELECT id, 1, rule, position, kind,
           CASE WHEN is_open THEN CASE WHEN state <> 'registered' AND position = 0 THEN 'met' ELSE 'running' END
                WHEN state = 'cancelled' THEN 'cancelled' ELSE 'met' END,
           created_at, $4::text::timestamptz + (die % 200000 - 20000) * interval '1 second' + position * interval '1 day',
           CASE WHEN state = 'closed' OR (state = 'in_progress' AND position = 0) THEN created_at + interval '3 hours' END,
           CASE WHEN state = 'closed' OR (state = 'in_progress' AND position = 0) THEN 'handler-' || die % 500 END,
           CASE WHEN state = 'closed' OR (state = 'in_progress' AND position = 0) THEN created_at + interval '3 hours' END,
           CASE WHEN state = 'cancelled' THEN created_at + interval '2 days' END
    FROM written
    CROSS JOIN (VALUES ('first-response', 0, 'first_response'), ('resolution', 1, 'resolution'),
                       ('feedback', 2, 'result_feedback')) AS clock (rule, position, kind)
),
recorded AS (
    INSERT INTO journal (
        event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id, revision,
        action, org_unit, before, after)
    SELECT gen_random_uuid(), created_at + change * interval '3 hours', 'handler-' || die % 500, org_unit, 'load', '', '', 'ticket',
           id, change, (ARRAY['CreateTicket', 'RespondTicket', 'ResolveTicket', 'FeedBackTicket'])[change], org_unit,
           CASE WHEN change > 1 THEN jsonb_build_object('state', 'registered') END,
           jsonb_build_object('state', state, 'solution', place || trouble)
    FROM written CROSS JOIN generate_series(1, 4) AS change
)
INSERT INTO message (id, ticket_id, cycle, purpose, body, sent_at, sent_by, created_at)
SELECT ('01900000-0000-7001-8000-' || lpad(to_hex(n * 8 + said), 12, '0'))::uuid, id, 1, 'answer',
       (ARRAY['您好，关于', '尊敬的业主，', '您反映的', '现将', '再次就'])[1 + said % 5] || place || trouble
           || (ARRAY['的情况我们已登记，师傅将于明天上午到场查看。', '的维修配件已到货，请您安排时间。', '的处理结果已反馈给项目负责人。',
                     '的问题仍在跟进，预计三个工作日内完成。', '的费用由物业承担，请您放心。'])[1 + (die + said) % 5],
       created_at + said * interval '4 hours', 'handler-' || die % 500, created_at + said * interval '4 hours'
FROM written CROSS JOIN generate_series(1, 5) AS said
