-- Which of these events are there, and of which record each is.
SELECT subject, record_key, event_id
FROM unnest(%(subjects)s::uuid[], %(event_ids)s::uuid[]) AS asked (subject, event_id) JOIN {schema}.facts USING (subject, event_id)
