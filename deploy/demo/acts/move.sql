-- The citizen moves to another street of her city.
INSERT INTO neshani (noe, code_meli, codeposti, matn_neshani, az, sabt, payam)
VALUES ('jadid', %(national_id)s, '8134917366', 'اصفهان، اصفهان، خیابان حافظ', %(day)s, now(), uuidv7())
