under_investigation || ARRAY(
         SELECT DISTINCT finding.field FROM quality.findings AS finding
         WHERE (finding.subject, finding.event_id) = (live.subject, live.event_id) AND finding.is_open
           AND finding.record_type = {record_type} AND finding.rule IN ({rules}) AND finding.field <> ALL (under_investigation)
         ORDER BY finding.field
       ) AS under_investigation