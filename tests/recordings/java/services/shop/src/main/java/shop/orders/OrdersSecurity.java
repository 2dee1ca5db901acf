package shop.orders;

import static org.springframework.http.HttpMethod.DELETE;

import jakarta.servlet.http.HttpServletResponse;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.servlet.util.matcher.PathPatternRequestMatcher;

@Configuration
@EnableMethodSecurity
@Profile("orders")
class OrdersSecurity {
    @Bean
    SecurityFilterChain rules(HttpSecurity http) throws Exception {
        var inner = PathPatternRequestMatcher.withDefaults().matcher("/internal/**");
        return http.csrf(csrf -> csrf.disable())
                .sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .authorizeHttpRequests(rules -> rules.requestMatchers(DELETE, "/orders/*")
                        .hasRole("ADMIN")
                        .requestMatchers("/internal/**")
                        .hasRole("AUDITOR")
                        .anyRequest()
                        .authenticated())
                .oauth2ResourceServer(server -> server.jwt(jwt -> {}))
                // Nobody without the role may learn that the inner pages exist.
                .exceptionHandling(errors -> errors.defaultAccessDeniedHandlerFor(
                        (request, response, denied) -> response.sendError(HttpServletResponse.SC_NOT_FOUND), inner))
                .build();
    }
}
