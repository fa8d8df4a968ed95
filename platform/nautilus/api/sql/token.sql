-- The tokens that begin so, one as a rule, with who they belong to and that user's groups: what every request with a
-- bearer token needs, in one round trip.
SELECT
    token.digest,
    token.token_key,
    token.created,
    token.expiry,
    auth_user.id AS user_id,
    auth_user.username,
    auth_user.email,
    auth_user.is_active,
    auth_user.is_staff,
    auth_user.is_superuser,
    ARRAY(
        SELECT auth_group.name
        FROM auth_user_groups
        JOIN auth_group ON auth_group.id = auth_user_groups.group_id
        WHERE auth_user_groups.user_id = auth_user.id
    ) AS groups
FROM knox_authtoken AS token
JOIN auth_user ON auth_user.id = token.user_id
WHERE token.token_key = %(token_key)s
