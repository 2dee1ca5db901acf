package shop.accounts;

import java.security.Principal;
import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.Profile;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
@Profile("accounts")
class Accounts {
    private final JdbcClient database;

    Accounts(JdbcClient database) {
        this.database = database;
    }

    @GetMapping({"/profile", "/api/profile"})
    Map<String, String> profile(Principal caller) {
        return Map.of("name", caller.getName());
    }

    @PostMapping("/profile")
    void change() {}

    @GetMapping("/api/users")
    List<Map<String, Object>> users() {
        return database.sql("SELECT username, enabled FROM users").query().listOfRows();
    }
}
