-- As booking.lock_portfolio does, for who may see the portfolio: nobody else makes its desk wait.
SELECT 1 FROM portfolios_portfolio AS portfolio
WHERE portfolio.id = %(portfolio_id)s
    AND (%(sees_all)s OR EXISTS (
        SELECT 1 FROM portfolios_portfolio_groups AS shared
        JOIN auth_user_groups AS member ON member.group_id = shared.group_id
        WHERE shared.portfolio_id = portfolio.id AND member.user_id = %(user_id)s
    ))
FOR NO KEY UPDATE OF portfolio
