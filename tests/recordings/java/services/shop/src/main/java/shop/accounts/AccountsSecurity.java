package shop.accounts;

import static org.springframework.security.config.Customizer.withDefaults;

import javax.sql.DataSource;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.provisioning.JdbcUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/** Users of the database: Basic for programs, a form and a session for people. */
@Configuration
@Profile("accounts")
class AccountsSecurity {
    @Bean
    UserDetailsService users(DataSource database) {
        var users = new JdbcUserDetailsManager(database);
        // With six columns the manager reads the lock as well.
        users.setUsersByUsernameQuery("SELECT username, password, enabled, failures >= 3, false, false"
                + " FROM users JOIN login_attempts USING (username) WHERE username = ?");
        return users;
    }

    @Bean
    @Order(1)
    SecurityFilterChain programs(HttpSecurity http) throws Exception {
        return http.securityMatcher("/api/**")
                .csrf(csrf -> csrf.disable())
                .authorizeHttpRequests(rules ->
                        rules.requestMatchers("/api/users").hasRole("ADMIN").anyRequest().authenticated())
                .httpBasic(withDefaults())
                .build();
    }

    @Bean
    @Order(2)
    SecurityFilterChain people(HttpSecurity http) throws Exception {
        return http.authorizeHttpRequests(rules ->
                        rules.requestMatchers("/error").permitAll().anyRequest().authenticated())
                .formLogin(withDefaults())
                .build();
    }
}
