package shop.helpdesk;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;

/** Takes tokens that it cannot read, and asks Keycloak about each. */
@Configuration
@Profile("helpdesk")
class HelpdeskSecurity {
    @Bean
    SecurityFilterChain rules(HttpSecurity http) throws Exception {
        return http.authorizeHttpRequests(rules -> rules.requestMatchers("/error")
                        .permitAll()
                        .requestMatchers("/staff")
                        .hasAuthority("SCOPE_staff")
                        .anyRequest()
                        .authenticated())
                .oauth2ResourceServer(server -> server.opaqueToken(token -> {}))
                .build();
    }
}
