package shop.accounts;

import org.springframework.context.annotation.Profile;
import org.springframework.context.event.EventListener;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.security.authentication.event.AuthenticationFailureBadCredentialsEvent;
import org.springframework.security.authentication.event.AuthenticationSuccessEvent;
import org.springframework.stereotype.Component;

/** Counts wrong passwords; the third locks the account until somebody sets the count back. */
@Component
@Profile("accounts")
class LockOut {
    private final JdbcClient database;

    LockOut(JdbcClient database) {
        this.database = database;
    }

    @EventListener
    void wrong(AuthenticationFailureBadCredentialsEvent event) {
        database.sql("UPDATE login_attempts SET failures = failures + 1 WHERE username = ?")
                .param(event.getAuthentication().getName())
                .update();
    }

    @EventListener
    void right(AuthenticationSuccessEvent event) {
        database.sql("UPDATE login_attempts SET failures = 0 WHERE username = ? AND failures > 0")
                .param(event.getAuthentication().getName())
                .update();
    }
}
